"""Starts daemons and tells whether one still lives.

A process is known by its id and its start time, so that an id which the kernel has given to
somebody else since is never signalled.
"""

import os
import signal
import subprocess
import time

from . import waiting

LOG_KEEP_BYTES = 16 * 1024 * 1024


def _stat(pid):
    """(state letter, parent, start ticks), or None. The name may hold spaces and brackets: skip past the last one."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return fields[0].decode(), int(fields[1]), int(fields[19])


def start_ticks(pid):
    found = _stat(pid)
    return found[2] if found else None


def state_of(pid, ticks):
    """running, paused or stopped. A zombie has stopped: nobody may be there to collect it."""
    found = _stat(pid) if pid else None
    if not found or found[2] != ticks or found[0] in "ZX":
        return "stopped"
    return "paused" if found[0] in "Tt" else "running"


def children_of(pid):
    """(pid, ticks) of each."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = _stat(name)
            if stat and stat[1] == pid:
                found.append((int(name), stat[2]))
    return found


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def signal_tree(pid, number):
    """The process, then its children: PostgreSQL's backends are in sessions of their own. Returns the children."""
    children = children_of(pid)
    send(pid, number)
    for child, _ticks in children:
        send(child, number)
    return children


def spawn(argv, log, env, cwd, user=None):
    """Detached: its own session, so that Ctrl-C in the terminal is not for it. Returns (pid, ticks)."""
    if log.exists() and log.stat().st_size > LOG_KEEP_BYTES:
        os.replace(log, log.with_name(log.name + ".1"))
    who = {"user": user, "group": user, "extra_groups": []} if user else {}
    with open(log, "ab") as out:
        os.chmod(log, 0o600)
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=cwd,
                                 start_new_session=True, **who)
    child.returncode = 0  # not ours to wait for: it outlives this command
    return child.pid, start_ticks(child.pid)


def wait_gone(pid, ticks, seconds):
    """False: it is still there."""
    deadline = time.monotonic() + seconds
    while state_of(pid, ticks) != "stopped":
        if time.monotonic() > deadline:
            return False
        waiting.for_any_end([pid], max(0, deadline - time.monotonic()))
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass  # not our child: there is nothing to collect
    return True


def kill_tree(pid, ticks, seconds):
    """Returns when its children are gone, too: PostgreSQL does not start while one holds its memory."""
    deadline = time.monotonic() + seconds
    children = signal_tree(pid, signal.SIGKILL)
    for each in [(pid, ticks), *children]:
        wait_gone(*each, max(0, deadline - time.monotonic()))


def await_end(pid, ticks, number, seconds):
    """After it was asked: waits, asks again (who has clients to say goodbye to ends at once then), insists. False if killed."""
    if wait_gone(pid, ticks, seconds / 2):
        return True
    send(pid, number)
    if wait_gone(pid, ticks, seconds / 2):
        return True
    kill_tree(pid, ticks, 5)
    return False


def tail(log, lines=15):
    try:
        with open(log, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 16384))
            return "\n".join("  | " + line for line in file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return "  (no log)"
