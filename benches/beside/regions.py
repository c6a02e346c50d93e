"""Regions of `twinkeep` nodes and clusters of `bao` nodes, from configuration files."""

import base64
import http.client
import json
import os
import threading
import time

from beside.common import TWINKEEP, end, free_port, resident_mb, start, wait_for


class Api:
    """One keep-alive connection to a node. Not for several threads."""

    def __init__(self, port, token=None, timeout=60):
        self.port, self.token, self.timeout, self.connection = port, token, timeout, None

    def __call__(self, method, path, body=None):
        headers = {"X-Vault-Request": "true"}
        if self.token:
            headers["X-Vault-Token"] = self.token
        data = None if body is None else json.dumps(body)
        for attempt in (1, 2):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
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
    """Initialised and unsealed, with a leader that takes writes."""

    def __init__(self, folder, name, nodes, binary="twinkeep", engine="fjall", more=""):
        self.folder, self.name, self.binary, self.engine, self.more = folder / name, name, binary, engine, more
        self.ports = [free_port() for _ in range(nodes)]
        self.cluster_ports = [free_port() for _ in range(nodes)]
        self.processes = {}
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
            mounted = {"type": "kv", "options": {"version": "2"}}
            wait_for("bao mounts", lambda: self.api()("POST", "sys/mounts/secret", mounted)[0] == 204)
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
            else f'replication "default" {{ enabled = true }}\n{self.more}'
        )
        config = self.folder / f"{node}.hcl"
        config.write_text(
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
        program = "bao" if bao else TWINKEEP
        self.processes[node] = start([program, "server", f"-config={config}"], self.folder / f"{node}.log")

    def unseal(self, port):
        api = Api(port)
        wait_for("a node to know its seal", lambda: api("GET", "sys/seal-status")[1].get("initialized"))
        wait_for("a node to unseal", lambda: api("PUT", "sys/unseal", {"key": self.keys[0]})[1].get("sealed") is False, pause_s=0.3)

    def alive(self):
        return [node for node, process in self.processes.items() if process.poll() is None]

    def leader(self):
        for node in self.alive():
            try:
                status, _, _ = Api(self.ports[node], timeout=5)("GET", "sys/health?drsecondarycode=200")
            except (OSError, http.client.HTTPException):
                continue
            if status == 200:
                return node
        return None

    def leading(self):
        """The node that leads, once there is one."""
        return wait_for(f"{self.name} to have a leader", lambda: (self.leader(),) if self.leader() is not None else None)[0]

    def voters(self):
        answer = self.api().ok("GET", "sys/storage/raft/configuration")
        return sum(1 for server in answer["data"]["config"]["servers"] if server["voter"])

    def api(self):
        return Api(self.ports[self.leading()], self.token)

    def status(self):
        # The answer lies under `data`, as Vault's do.
        answer = self.api().ok("GET", "sys/replication/path/default/status")
        return answer.get("data") or answer

    def resident_mb(self, node=0):
        return resident_mb(self.processes[node].pid)

    def disk_mb(self, node=0):
        files = (self.folder / str(node)).rglob("*")
        return round(sum(f.stat().st_blocks * 512 for f in files if f.is_file()) / 1e6, 1)

    def stop(self):
        for process in self.processes.values():
            end(process)


def connect(primary, standby):
    token = standby.api().ok("POST", "sys/replication/path/default/tokens", {"ttl": "30m", "force": True})
    token = (token.get("data") or token)["token"]
    link = {"address": f"http://127.0.0.1:{standby.ports[0]}", "token": token}
    primary.api().ok("POST", "sys/replication/path/default/links", link)


def in_step(primary, standby):
    one, two = primary.status(), standby.status()
    return two["whole"] and one["applied"] == two["applied"] and one["merkle_root"] == two["merkle_root"]


def value_of(length):
    """A value that does not compress, of so many characters."""
    return base64.b64encode(os.urandom(length * 3 // 4 + 3)).decode()[:length]


def load(region, secrets, value_bytes, threads=64):
    """Writes so many secrets through as many connections as make it quick. Secrets a second."""
    body = {"data": {"v": value_of(value_bytes)}}
    leader = region.ports[region.leading()]

    def work(first):
        api = Api(leader, region.token)
        for n in range(first, secrets, threads):
            api.ok("POST", f"secret/data/load/{n // 1000}/{n}", body)

    workers = [threading.Thread(target=work, args=(first,), daemon=True) for first in range(threads)]
    began = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return secrets / (time.monotonic() - began)
