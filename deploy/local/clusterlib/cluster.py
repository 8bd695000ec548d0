"""The cluster as a whole: what belongs to it, and the order in which its nodes come and go."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import nodes, ports, process
from .state import ClusterError, State
from .waiting import until

TOP = Path(__file__).resolve().parents[3]
READY_DEADLINE_S = 60
KINDS = ("gateway", "shard")


class Cluster:
    def __init__(self, folder):
        self.state = State(folder)
        self.check_interrupt = lambda: None  # raises when the user wants to stop
        self.postgres = nodes.make(self, "postgres")
        self.redis = nodes.make(self, "redis")

    @property
    def build_dir(self):
        return TOP / os.environ.get("FLUXY_BUILD_DIR", "build")

    def say(self, text):
        print(f"cluster: {text}", file=sys.stderr, flush=True)

    def of_kind(self, kind):
        return [nodes.make(self, f"{kind}-{n}") for n in self.state.data["counts"].get(kind, [])]

    def fluxy(self):
        return self.of_kind("shard") + self.of_kind("gateway")

    def all(self):
        return [self.postgres, self.redis] + self.fluxy()

    def node(self, name):
        node = nodes.make(self, name)
        if node.name not in [each.name for each in self.all()]:
            raise ClusterError(f"{name}: no such node here; there are {', '.join(each.name for each in self.all())}")
        return node

    def build(self):
        """Builds the two programs in the tree they are run from. Two commands at once take turns."""
        folder = self.build_dir
        if not (TOP / "meson.build").exists():
            return
        folder.mkdir(exist_ok=True)
        with open(folder / ".cluster-lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "build.ninja").exists():
                self.run_tool([str(TOP / "deploy/tools/configure"), folder.name])
            self.run_tool(["ninja", "-C", str(folder), nodes.Gateway.program, nodes.Shard.program])

    def run_tool(self, argv):
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"{' '.join(argv)} failed:\n{done.stdout}")

    def wait_ready(self, waiting, seconds=READY_DEADLINE_S):
        """Until each of them says so. One that dies, or that is not ready in time, is shown by the end of its log."""
        waiting = list(waiting)

        def all_are_ready():
            self.check_interrupt()
            for node in list(waiting):
                try:
                    if node.ready():
                        waiting.remove(node)
                        continue
                except (OSError, nodes.http.client.HTTPException):
                    pass  # not listening yet, or not answering yet: ask again
                if node.status() == "stopped":
                    raise ClusterError(f"{node.name} stopped while it started; the end of {node.log}:\n{process.tail(node.log)}")
            return not waiting

        if not until(all_are_ready, seconds):
            late = waiting[0]
            raise ClusterError(f"{late.name} is not ready after {seconds} s; the end of {late.log}:\n{process.tail(late.log)}")

    def wait_ring(self, running, seconds=READY_DEADLINE_S):
        """Until all go by one ring that has every shard; else rooms that are made at once would move a moment later."""
        shards = sum(isinstance(node, nodes.Shard) for node in running)
        rings = {}

        def is_common():
            self.check_interrupt()
            try:
                rings.update({node.name: node.ring() for node in running})
            except (OSError, nodes.http.client.HTTPException):
                return False  # one of them does not answer at the moment
            return len(set(rings.values())) == 1 and next(iter(rings.values()))[1] >= shards

        if running and not until(is_common, seconds):
            raise ClusterError(f"no common ring after {seconds} s: {rings}")

    def start(self, starting, owner, wait=True):
        for node in starting:
            if hasattr(node, "prepare"):
                node.prepare()
        for node in starting:
            self.check_interrupt()
            node.start(owner)
        if wait:
            self.wait_ready(starting)

    def set_counts(self, counts):
        """An asked number of nodes becomes the number; what is above it is stopped and forgotten."""
        data = self.state.data
        for kind in KINDS:
            numbers = data["counts"].get(kind) or [1, 2]
            if counts.get(kind) is not None:
                kept = numbers[: counts[kind]]
                while len(kept) < counts[kind]:
                    kept.append(max(kept, default=0) + 1)
                for n in set(numbers) - set(kept):
                    gone = nodes.make(self, f"{kind}-{n}")
                    gone.stop()
                    data["nodes"].pop(gone.name, None)
                    data["ports"].pop(gone.name, None)
                numbers = kept
            data["counts"][kind] = numbers

    def choose_ports(self, base):
        """Ports stay what they were. Only when nothing runs may they change: for another base, or for ports lost to a stranger."""
        data = self.state.data
        running = [node.name for node in self.all() if node.status() != "stopped"]
        if base is not None and base != data.get("asked_base"):
            if running:
                raise ClusterError("other ports need the cluster stopped first: run down")
            data["ports"] = {}
            data["asked_base"] = data["base"] = base
        if not data.get("base"):
            data["base"] = ports.claim(self.state.dir)
        if not running:
            for node in self.all():
                taken = node.taken_port()
                if taken:
                    self.say(f"port {taken} of {node.name} is in use by another program: choosing another")
                    del data["ports"][node.name]
        for node in self.all():
            node.choose_ports()

    def up(self, counts, base, env, owner):
        """Starts what is missing and returns when all of it is ready. Returns the nodes it started."""
        self.build()
        data = self.state.data
        self.set_counts(counts)
        self.choose_ports(base)
        for name, value in env.items():
            data["env"].pop(name, None)
            if value:
                data["env"][name] = value
        self.state.save()

        missing = [node for node in self.all() if node.status() == "stopped"]
        stores = [node for node in missing if node in (self.postgres, self.redis)]
        self.start(stores, owner, wait=False)
        self.wait_ready([node for node in (self.postgres, self.redis) if node.status() != "paused"])
        self.postgres.create_database()

        rest = [node for node in missing if node not in stores]
        if not data["projects"]:
            self.add_project("Demo", nodes.DEMO)
        self.start(rest, owner, wait=False)
        running = [node for node in self.fluxy() if node.status() != "paused"]
        self.wait_ready(running)
        self.wait_ring(running)
        return missing

    def add(self, kind, owner):
        numbers = self.state.data["counts"][kind]
        node = nodes.make(self, f"{kind}-{max(numbers, default=0) + 1}")
        numbers.append(int(node.name.rpartition("-")[2]))
        node.choose_ports()
        self.state.save()
        self.build()
        self.start([node], owner)
        return node

    def add_project(self, name, project_id=None):
        """By the shard's own command, which also brings an empty database up to date."""
        shard = nodes.make(self, "shard-1")
        argv = shard.argv() + ["--create-project", name] + (["--id", project_id] if project_id else [])
        environment = nodes.Node.environment(shard) | {
            "FLUXY_DATABASE_URL": self.postgres.url(),
            "FLUXY_MASTER_KEY_FILE": str(self.state.secret("master.key")),
        }
        made = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        if made.returncode != 0:
            raise ClusterError(f"could not make the project {name}: {made.stderr.strip()}")
        project = json.loads(made.stdout.strip().splitlines()[-1])
        self.state.data["projects"].append({"name": name, **project})
        self.state.save()
        return project

    def down(self, stopping=None):
        """Gateways first, the stores last: nobody loses what it still needs. Returns the names of those that had to be killed."""
        chosen = self.all() if stopping is None else stopping
        killed = []
        for group in (self.of_kind("gateway"), self.of_kind("shard"), [self.redis], [self.postgres]):
            group = [node for node in group if node.name in {each.name for each in chosen} and node.status() != "stopped"]
            for node in group:
                node.ask_to_stop()
            killed += [node.name for node in group if not node.await_end()]
        return killed

    def wipe(self):
        """Takes the folder away with everything that was ever said in it."""
        outside = self.state.data.get("postgresDir")
        for folder in filter(None, [outside, str(self.state.dir)]):
            shutil.rmtree(folder, ignore_errors=True)

    def public(self, with_state=False):
        """The cluster as the outside sees it: the object that --json prints."""
        def show(node):
            return node.public() | ({"state": node.status()} if with_state else {})

        first = (self.state.data["projects"] or [{}])[0]
        known = "postgres" in self.state.data["ports"]
        shown = {
            "dir": str(self.state.dir),
            "gateways": [show(node) for node in self.of_kind("gateway")],
            "shards": [show(node) for node in self.of_kind("shard")],
            "postgres": self.postgres.url() if known else None,
            "redis": self.redis.url() if known else None,
            "operatorKey": self.state.secret_text("operator.key") if known else None,
            "project": first.get("project"),
            "apiKey": first.get("apiKey"),
            "tlsCertificate": str(self.state.dir / "tls" / "cert.pem"),
        }
        if with_state:
            shown["stores"] = [{"name": node.name, "pid": node.pid, "state": node.status()} for node in (self.postgres, self.redis)]
        return shown
