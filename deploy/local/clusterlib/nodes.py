"""The four kinds of node: how each is started, asked whether it is ready, and stopped."""

import hashlib
import http.client
import json
import os
import pwd
import re
import resource
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

from . import ports, process
from .state import ClusterError, write_private

NAME = re.compile(r"^(postgres|redis|(gateway|shard)-([1-9][0-9]{0,3}))$")
PROBE_TIMEOUT_S = 1
DEMO = "demo"  # the first project: the operator's own, and that of the chat page


class Node:
    """One node of the cluster whose State is given. Ports and process id live in the state."""

    port_names = ()
    stop_signal = signal.SIGTERM
    stop_deadline_s = 10
    drain_deadline_s = 130  # a gateway takes up to a minute, and is asked a second time at half of it

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.state = cluster.state
        self.name = name
        self.log = self.state.dir / "log" / f"{name}.log"

    @property
    def record(self):
        return self.state.data["nodes"].setdefault(self.name, {})

    @property
    def pid(self):
        return self.record.get("pid") if self.status() != "stopped" else None

    def status(self):
        return process.state_of(self.record.get("pid"), self.record.get("ticks"))

    def port(self, which):
        return self.state.data["ports"][self.name][which]

    def address(self, which):
        return f"127.0.0.1:{self.port(which)}"

    def choose_ports(self):
        """Remembered ports stay. Returns those that are new."""
        data = self.state.data["ports"]
        mine = data.setdefault(self.name, {})
        taken = {port for node in data.values() for port in node.values()}
        for which in self.port_names:
            if which not in mine:
                mine[which] = ports.pick(self.state.data["base"], taken)
                taken.add(mine[which])

    def taken_port(self):
        return next((port for port in self.state.data["ports"].get(self.name, {}).values() if not ports.is_free(port)), None)

    def start(self, owner):
        taken = self.taken_port()
        if taken:
            raise ClusterError(f"{self.name}: port {taken} is in use by another program")
        pid, ticks = process.spawn(self.argv(), self.log, self.environment(), self.cwd(), self.user())
        self.record.update(pid=pid, ticks=ticks, owner=owner)
        self.state.save()

    def signal(self, number):
        process.send(self.record["pid"], number)

    def ask_to_stop(self):
        if self.status() != "stopped":
            process.send(self.record["pid"], self.stop_signal)
            self.signal(signal.SIGCONT)  # a paused one could not hear it

    def await_end(self, seconds=None):
        """Returns False if it did not go by itself in time."""
        if self.status() == "stopped":
            return True
        return process.await_end(self.record["pid"], self.record["ticks"], self.stop_signal, seconds or self.stop_deadline_s)

    def stop(self, drain=False):
        self.ask_to_stop()
        return self.await_end(self.drain_deadline_s if drain else None)

    def kill(self):
        if self.status() != "stopped":
            process.kill_tree(self.record["pid"], self.record["ticks"], 5)

    def cwd(self):
        return self.state.dir

    def user(self):
        return None

    def environment(self):
        """What this shell happens to have set for FluxyChat is not what this cluster is told."""
        return {name: value for name, value in os.environ.items() if not name.startswith("FLUXY_")}


class Postgres(Node):
    port_names = ("sql",)
    stop_signal = signal.SIGINT  # fast shutdown; SIGTERM would wait for the clients to go
    stop_deadline_s = 20
    drain_deadline_s = 20

    def bin(self, program):
        chosen = None
        version = self.data_dir() / "PG_VERSION"
        if version.exists():
            chosen = Path("/usr/lib/postgresql", version.read_text().strip(), "bin")
        else:
            found = sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin/initdb"), key=lambda path: int(path.parts[4]))
            preferred = Path("/usr/lib/postgresql/15/bin")
            chosen = preferred if (preferred / "initdb").exists() else found[-1].parent if found else None
        if not chosen or not (chosen / program).exists():
            raise ClusterError("PostgreSQL's server is not installed; run: make deps")
        return str(chosen / program)

    def user(self):
        return "postgres" if os.getuid() == 0 else None

    def data_dir(self):
        return Path(self.state.data.get("postgresDir") or self.state.dir / "postgres")

    def cwd(self):
        return self.data_dir()

    def choose_data_dir(self):
        """PostgreSQL refuses to run as root, and its own user cannot reach a folder under, say, root's home."""
        if "postgresDir" in self.state.data:
            return
        folder = self.state.dir / "postgres"
        if self.user():
            test = subprocess.run(["/usr/bin/test", "-x", self.state.dir], user=self.user(), group=self.user(),
                                  extra_groups=[], check=False, cwd="/")
            if test.returncode != 0:
                mark = hashlib.sha256(str(self.state.dir).encode()).hexdigest()[:10]
                folder = Path("/var/lib/fluxychat", mark)
                folder.parent.mkdir(mode=0o755, exist_ok=True)
                self.cluster.say(f"the user postgres cannot reach {self.state.dir}: the database lives in {folder}")
        self.state.data["postgresDir"] = str(folder)

    def prepare(self):
        """Makes the database cluster at first run. A half-made one, from a killed run, is made again."""
        self.choose_data_dir()
        folder = self.data_dir()
        if (folder / "PG_VERSION").exists() and self.state.data.get("initdb"):
            self.forget_dead_postmaster()
            return
        if folder.exists():
            subprocess.run(["rm", "-rf", "--", str(folder)], check=True)
        folder.mkdir(mode=0o700)
        who = {"user": self.user(), "group": self.user(), "extra_groups": []} if self.user() else {}
        if self.user():
            subprocess.run(["chown", f"{self.user()}:{self.user()}", str(folder)], check=True)
        # initdb reads the password by a descriptor: its user may not reach the folder of secrets.
        reader, writer = os.pipe()
        os.write(writer, (self.state.secret_text("postgres-superuser.password") + "\n").encode())
        os.close(writer)
        if self.user():
            os.fchown(reader, pwd.getpwnam(self.user()).pw_uid, -1)
        made = subprocess.run([self.bin("initdb"), "-D", str(folder), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
                               "--auth=scram-sha-256", f"--pwfile=/proc/self/fd/{reader}"], pass_fds=(reader,), cwd="/",
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **who)
        os.close(reader)
        if made.returncode != 0:
            raise ClusterError(f"initdb failed:\n{made.stdout}{made.stderr}")
        # The fresh files go to the disk while the server starts; waiting for it is half of a first start.
        subprocess.Popen(["sync", "-f", str(folder)], start_new_session=True).returncode = 0
        self.state.data["initdb"] = True
        self.state.save()

    def forget_dead_postmaster(self):
        """After a reboot or a restarted container the id in the lock file may be anybody's; the server would refuse to start."""
        lock = self.data_dir() / "postmaster.pid"
        if self.status() != "stopped" or not lock.exists():
            return
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
            if "postgres" not in os.readlink(f"/proc/{pid}/exe"):
                lock.unlink()
        except (OSError, ValueError):
            lock.unlink(missing_ok=True)

    def argv(self):
        settings = {
            "port": self.port("sql"),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 100,
            "fsync": "on",
            "logging_collector": "off",
            "log_line_prefix": "%m [%p] ",
            "cluster_name": "fluxychat",
        }
        argv = [self.bin("postgres"), "-D", str(self.data_dir())]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        return argv

    def url(self):
        return f"postgresql://fluxy:{self.state.secret_text('postgres.password')}@{self.address('sql')}/fluxy"

    def ready(self):
        """Asks as a client does: a server that recovers answers the greeting with an error."""
        greeting = b"user\0fluxy\0database\0fluxy\0\0"
        with socket.create_connection(("127.0.0.1", self.port("sql")), PROBE_TIMEOUT_S) as sock:
            sock.sendall(struct.pack(">ii", len(greeting) + 8, 196608) + greeting)
            return sock.recv(1024)[:1] == b"R"

    def create_database(self):
        """The role owns its database and may make roles, and is no superuser: what is forbidden in production fails here."""
        if self.state.data.get("database"):
            return
        password = self.state.secret_text("postgres.password")
        environment = self.environment()
        environment["PGPASSWORD"] = self.state.secret_text("postgres-superuser.password")
        sql = "\n".join([
            "SELECT 'CREATE ROLE fluxy LOGIN CREATEROLE' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'fluxy') \\gexec",
            f"ALTER ROLE fluxy PASSWORD '{password}';",
            "SELECT 'CREATE DATABASE fluxy OWNER fluxy' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'fluxy') \\gexec",
        ])
        done = subprocess.run([self.bin("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port("sql")),
                               "-U", "postgres", "-d", "postgres", "-f", "-"], input=sql, env=environment, text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"could not make the database: {done.stderr}")
        self.state.data["database"] = True
        self.state.save()

    def signal(self, number):
        process.signal_tree(self.record["pid"], number)


class Redis(Node):
    port_names = ("redis",)

    def argv(self):
        return ["redis-server", "--port", str(self.port("redis")), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                "--daemonize", "no", "--dir", str(self.state.dir), "--maxmemory", "256mb", "--maxmemory-policy", "noeviction"]

    def url(self):
        return f"redis://{self.address('redis')}/0"

    def ready(self):
        with socket.create_connection(("127.0.0.1", self.port("redis")), PROBE_TIMEOUT_S) as sock:
            sock.sendall(b"PING\r\n")
            return sock.recv(5) == b"+PONG"


class Fluxy(Node):
    """What gateway and shard have in common."""

    program = ""

    def argv(self):
        return [str(self.cluster.build_dir / self.program)]

    def environment(self):
        environment = super().environment()
        environment.update(self.settings())
        environment.update(self.state.env_of(self.name))
        return environment

    def settings(self):
        return {
            "FLUXY_NODE_ID": self.name,
            "FLUXY_ADMIN_LISTEN": self.address("admin"),
            "FLUXY_REDIS_URL": self.cluster.redis.url(),
            "FLUXY_LINK_SECRET_FILE": str(self.state.secret("link.secret")),
        }

    def start(self, owner):
        # A gateway holds a descriptor for each socket; the usual soft limit is for programs that use select().
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        super().start(owner)

    def ask(self, path):
        """Status and body of the admin port's answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port("admin"), timeout=PROBE_TIMEOUT_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ready(self):
        return self.ask("/readyz")[0] == 200

    def ring(self):
        """By which ring it goes: (epoch, number of shards)."""
        status = json.loads(self.ask("/status")[1])
        ring = status.get("ring")
        return (ring["epoch"], len(ring["shards"])) if ring else (status["ringEpoch"], status["ringMembers"])


class Gateway(Fluxy):
    port_names = ("http", "https", "admin")
    program = "gateway/fluxy-gateway"

    def settings(self):
        return super().settings() | {
            "FLUXY_HTTP_LISTEN": self.address("http"),
            "FLUXY_HTTPS_LISTEN": self.address("https"),
            "FLUXY_TLS_CERT_FILE": str(self.state.dir / "tls" / "cert.pem"),
            "FLUXY_TLS_KEY_FILE": str(self.state.dir / "tls" / "key.pem"),
            "FLUXY_OPERATOR_PROJECT": DEMO,
            "FLUXY_DEMO_PROJECT": DEMO,
            "FLUXY_OPERATOR_KEY_FILE": str(self.state.secret("operator.key")),
        }

    def prepare(self):
        """A self-signed certificate, made at first run and again when it is about to expire."""
        folder = self.state.dir / "tls"
        cert, key = folder / "cert.pem", folder / "key.pem"
        if cert.exists() and key.exists() and time.time() - cert.stat().st_mtime < 800 * 86400:
            return
        new_key = folder / "key.pem.part"
        write_private(new_key, "")
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                               "-days", "825", "-subj", "/CN=localhost", "-keyout", str(new_key), "-out", str(cert),
                               "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise ClusterError(f"openssl could not make a certificate: {made.stderr}")
        os.chmod(new_key, 0o600)
        os.replace(new_key, key)

    def public(self):
        return {"name": self.name, "http": f"http://{self.address('http')}", "https": f"https://{self.address('https')}",
                "admin": f"http://{self.address('admin')}", "pid": self.pid}


class Shard(Fluxy):
    port_names = ("link", "admin")
    program = "shard/fluxy-shard"

    def settings(self):
        return super().settings() | {
            "FLUXY_LINK_LISTEN": self.address("link"),
            "FLUXY_DATABASE_URL": self.cluster.postgres.url(),
            "FLUXY_MASTER_KEY_FILE": str(self.state.secret("master.key")),
        }

    def public(self):
        return {"name": self.name, "link": self.address("link"), "admin": f"http://{self.address('admin')}", "pid": self.pid}


def make(cluster, name):
    match = NAME.match(name)
    if not match:
        raise ClusterError(f"{name}: not a node; they are called gateway-1, shard-2, postgres, redis")
    kinds = {"postgres": Postgres, "redis": Redis, "gateway": Gateway, "shard": Shard}
    return kinds[match.group(2) or match.group(1)](cluster, name)
