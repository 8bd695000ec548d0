"""Picks TCP ports on 127.0.0.1 that nobody uses.

Below the kernel's range for outgoing connections: a port from that range could be taken by
any client in the seconds while a node is down, and the node could not come back on it.
Clusters keep apart by blocks, each claimed by one folder: otherwise two that start at once
would find the same ports free, or one would take those of another's node that is down.
"""

import fcntl
import os
import socket
import zlib
from pathlib import Path

LOWEST = 10000
BLOCK = 40
BLOCKS = 550
CLAIMS = Path(f"/tmp/fluxychat-ports-{os.getuid()}")  # one file a block: the folder that has it


def is_free(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
            sock.listen(1)
            return True
        except OSError:
            return False


def claim(folder):
    """The first port of a block that no other cluster of this user has. A claim ends with its folder."""
    CLAIMS.mkdir(mode=0o700, exist_ok=True)
    preferred = zlib.crc32(str(folder).encode()) % BLOCKS
    with open(CLAIMS / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # held for as long as it takes to read a few files
        for step in range(BLOCKS):
            block = (preferred + step) % BLOCKS
            note = CLAIMS / str(block)
            owner = note.read_text() if note.exists() else ""
            if owner in ("", str(folder)) or not Path(owner).exists():
                note.write_text(str(folder))
                return LOWEST + BLOCK * block
    raise OSError(f"{BLOCKS} clusters have claimed all ports, see {CLAIMS}")


def pick(start, taken):
    """The first free port from start on that is not in taken; goes on from LOWEST at the end."""
    for step in range(BLOCK * BLOCKS):
        port = start + step
        if port > 65535:
            port = LOWEST + port - 65536
        if port not in taken and is_free(port):
            return port
    raise OSError("no free port on 127.0.0.1")
