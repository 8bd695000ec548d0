"""Picks TCP ports on 127.0.0.1 that nobody uses.

Below the kernel's range for outgoing connections: a port from that range could be taken by
any client in the seconds while a node is down, and the node could not come back on it.
"""

import socket
import zlib

LOWEST = 10000
BLOCK = 40
BLOCKS = 550


def is_free(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
            sock.listen(1)
            return True
        except OSError:
            return False


def first_port(folder):
    """Where to start looking: by the folder's name, so that clusters started at once look apart."""
    return LOWEST + BLOCK * (zlib.crc32(str(folder).encode()) % BLOCKS)


def pick(start, taken):
    """The first free port from start on that is not in taken; goes on from LOWEST at the end."""
    for step in range(BLOCK * BLOCKS):
        port = start + step
        if port > 65535:
            port = LOWEST + port - 65536
        if port not in taken and is_free(port):
            return port
    raise OSError("no free port on 127.0.0.1")
