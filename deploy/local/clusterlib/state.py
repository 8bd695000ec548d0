"""What a cluster remembers between runs, in one folder, and the lock on it.

state.json holds ports, process ids, projects with their API keys and the extra environment;
secrets/ holds one secret a file. Both are for their owner's eyes only.
"""

import fcntl
import json
import os
import secrets
from contextlib import contextmanager
from pathlib import Path

from . import waiting

LOCK_DEADLINE_S = 120
PREFIXES = {"operator.key": "op_"}


class ClusterError(Exception):
    """Something the user can read and act on; printed without a traceback."""


def write_private(path, text):
    """Replaces the file as a whole: a reader or a crash never meets half of it."""
    part = path.with_name(path.name + ".part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
    os.replace(part, path)


class State:
    def __init__(self, folder):
        self.dir = Path(folder).resolve()
        self.file = self.dir / "state.json"
        self.data = {}
        self.reset()

    def reset(self, data=()):
        """In place: others hold the dictionary."""
        self.data.clear()
        self.data.update({"ports": {}, "nodes": {}, "env": {}, "projects": [], "counts": {}})
        self.data.update(data)

    def exists(self):
        return self.file.exists()

    def load(self):
        try:
            self.reset(json.loads(self.file.read_text()))
        except FileNotFoundError:
            pass
        except PermissionError as error:
            raise ClusterError(f"{self.file}: belongs to another user") from error
        except ValueError as error:
            raise ClusterError(f"{self.file} is damaged: {error}") from error
        return self

    def save(self):
        write_private(self.file, json.dumps(self.data, indent=2) + "\n")

    def create(self):
        """As root the server of PostgreSQL runs as another user, who must get through to its own folder."""
        mode = 0o711 if os.getuid() == 0 else 0o700
        try:
            self.dir.mkdir(parents=True, exist_ok=True)
            os.chmod(self.dir, mode)
            for name in ("log", "secrets", "tls"):
                (self.dir / name).mkdir(mode=0o700, exist_ok=True)
        except PermissionError as error:
            raise ClusterError(f"{self.dir}: not writable: {error.strerror}") from error

    @contextmanager
    def locked(self):
        """One command at a time changes a cluster; the file is read again under the lock."""
        fd = os.open(self.dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        def take():
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                return False

        try:
            if not waiting.until(take, LOCK_DEADLINE_S):
                raise ClusterError(f"{self.dir}: another command has been at work for {LOCK_DEADLINE_S} s")
            self.load()
            yield self
        finally:
            os.close(fd)

    def env_of(self, node):
        """What all nodes are told, then what only this one is told (`NODE/NAME`)."""
        told = {name: value for name, value in self.data["env"].items() if "/" not in name}
        mine = {name.partition("/")[2]: value for name, value in self.data["env"].items() if name.partition("/")[0] == node and "/" in name}
        return told | mine

    def secret(self, name):
        """The file that holds the secret, made at first use: random bytes in hex, behind what marks the kind."""
        path = self.dir / "secrets" / name
        if not path.exists():
            write_private(path, PREFIXES.get(name, "") + secrets.token_hex(32) + "\n")
        return path

    def secret_text(self, name):
        return self.secret(name).read_text().strip()
