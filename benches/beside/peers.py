"""The peers, started and measured the way each documents it: Redis, PostgreSQL, etcd."""

import base64
import http.client
import json
import os
import pathlib
import subprocess
import tempfile
import time

from beside.common import end, free_port, run, start, wait_for


def redis_full_sync(folder, entries, value_bytes):
    """Seconds of a full resync, from `replicaof` to as many keys; in memory, nothing durable."""
    ports = [free_port(), free_port()]
    command = ["redis-server", "--save", "", "--dir", str(folder), "--repl-diskless-sync-delay", "0", "--enable-debug-command", "local"]
    servers = [start([*command, "--port", str(port)]) for port in ports]

    def cli(port, *words):
        return subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, text=True, timeout=120).stdout

    try:
        wait_for("redis", lambda: "PONG" in cli(ports[0], "ping") and "PONG" in cli(ports[1], "ping"))
        cli(ports[0], "debug", "populate", str(entries), "key", str(value_bytes))
        began = time.monotonic()
        cli(ports[1], "replicaof", "127.0.0.1", str(ports[0]))

        def in_step():
            same = cli(ports[1], "dbsize").strip() == str(entries)
            return same and "master_link_status:up" in cli(ports[1], "info", "replication")

        wait_for("redis in step", in_step, deadline_s=300)
        return time.monotonic() - began
    finally:
        for server in servers:
            end(server)


def etcd_mirror(folder, entries, value_bytes):
    """Seconds of `etcdctl make-mirror` of so many keys into an empty etcd."""
    servers, clients = [], [free_port(), free_port()]
    for number, client in enumerate(clients):
        peer = free_port()
        servers.append(start([
            "etcd", "--name", f"e{number}", "--data-dir", str(folder / f"etcd-{number}"),
            "--listen-client-urls", f"http://127.0.0.1:{client}", "--advertise-client-urls", f"http://127.0.0.1:{client}",
            "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-cluster", f"e{number}=http://127.0.0.1:{peer}", "--quota-backend-bytes", str(4 << 30),
        ], folder / f"etcd-{number}.log"))

    def ask(port, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", path, json.dumps(body))
        return json.loads(connection.getresponse().read())

    def text(value):
        return base64.b64encode(value.encode()).decode()

    def count(port):
        answer = ask(port, "/v3/kv/range", {"key": text("k"), "range_end": text("l"), "count_only": True})
        return int(answer.get("count", 0))

    try:
        for port in clients:
            wait_for("etcd", lambda: "count" in ask(port, "/v3/kv/range", {"key": text("a")}) or True)
        value = base64.b64encode(os.urandom(value_bytes)).decode()
        for first in range(0, entries, 100):
            puts = [{"request_put": {"key": text(f"k{n:09}"), "value": value}} for n in range(first, min(first + 100, entries))]
            ask(clients[0], "/v3/kv/txn", {"success": puts})
        wait_for("etcd to hold its keys", lambda: count(clients[0]) == entries)
        began = time.monotonic()
        mirror = start(["etcdctl", f"--endpoints=127.0.0.1:{clients[0]}", "make-mirror", f"127.0.0.1:{clients[1]}"], folder / "mirror.log", env={**os.environ, "ETCDCTL_API": "3"})
        wait_for("the mirror", lambda: count(clients[1]) == entries, deadline_s=300, pause_s=0.1)
        took = time.monotonic() - began
        end(mirror)
        return took
    finally:
        for server in servers:
            end(server)


def postgres_programs():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


class Postgres:
    """A primary and a streaming standby, asynchronous, both durable."""

    def __init__(self, folder):
        programs = postgres_programs()
        self.ports = [free_port(), free_port()]
        home = folder / "postgres"
        home.mkdir()
        # It does not run as root.
        self.user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.user:
            for above in [folder, *folder.parents]:
                if str(above).startswith(tempfile.gettempdir() + "/"):
                    os.chmod(above, 0o755)
            run(["chown", "postgres", str(home)])
        primary, standby = home / "primary", home / "standby"
        run([*self.user, str(programs / "initdb"), "-D", str(primary), "-U", "postgres", "-A", "trust"])
        (primary / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n")
        self.servers = [self.serve(programs, primary, self.ports[0])]
        self.sql(0, "CREATE TABLE lag (k bigint PRIMARY KEY, v text)")
        run([*self.user, str(programs / "pg_basebackup"), "-h", "127.0.0.1", "-p", str(self.ports[0]), "-U", "postgres", "-D", str(standby), "-R", "-c", "fast"])
        self.servers.append(self.serve(programs, standby, self.ports[1]))
        wait_for("PostgreSQL to stream", lambda: "streaming" in self.sql(0, "SELECT state FROM pg_stat_replication"))

    def serve(self, programs, data, port):
        options = ["-c", f"port={port}", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={data}", "-c", "max_connections=64"]
        server = start([*self.user, str(programs / "postgres"), "-D", str(data), *options], data.parent.parent / f"postgres-{port}.log")
        wait_for("PostgreSQL", lambda: self.sql_of(port, "SELECT 1"))
        return server

    def sql(self, server, text):
        return self.sql_of(self.ports[server], text)

    def sql_of(self, port, text):
        command = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-At", "-c", text]
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout

    def stop(self):
        for server in self.servers:
            # `runuser` hands the signal on; killed, it would leave its child.
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                end(server)
