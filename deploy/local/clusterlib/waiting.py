"""Waits, each with a deadline: for the end of processes, which the kernel tells, and for what nobody tells."""

import os
import select
import time

LOOK_EACH_S = 0.01


def until(condition, seconds):
    """Looks again and again: at ports that are to answer, at locks that others hold. False: not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_EACH_S)
    return True


def for_any_end(pids, seconds, wake_fd=None):
    """Until one of the processes ends, or something is written to wake_fd, or the time is over. They need not be children."""
    fds = []
    try:
        for pid in pids:
            try:
                fds.append(os.pidfd_open(pid))
            except ProcessLookupError:
                return
        select.select(fds + ([] if wake_fd is None else [wake_fd]), [], [], seconds)
    finally:
        for fd in fds:
            os.close(fd)
