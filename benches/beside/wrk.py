"""`wrk` with scripts that write and read secrets."""

import time

from beside.common import end, run, start
from beside.regions import load, value_of
from beside.common import missing

WRITES = """
local n = %d
local value = "%s"
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
# Each secret once; when all are written, questions that cost nothing.
LOAD = """
local n = 0
local value = "%s"
request = function()
  n = n + 1
  if n > %d then return wrk.format("GET", "/v1/sys/init") end
  return wrk.format("POST", "/v1/secret/data/load/" .. math.floor(n / 1000) .. "/" .. n, {["X-Vault-Token"] = "%s", ["Content-Type"] = "application/json"}, '{"data":{"v":"' .. value .. '"}}')
end
"""


def writes(region, value_bytes, names, first=0):
    return WRITES % (first, value_of(value_bytes), names, region.token)


def reads(region):
    return READS % region.token


def command(folder, port, script, clients, seconds):
    lua = folder / f"wrk-{port}.lua"
    lua.write_text(script)
    return ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "20s", "--latency", "-s", str(lua), f"http://127.0.0.1:{port}"]


def figures(out):
    rate = float(out.split("Requests/sec:")[1].split()[0])
    failed = int(out.split("Non-2xx or 3xx responses:")[1].split()[0]) if "Non-2xx" in out else 0
    latency = {line.split()[0]: line.split()[1] for line in out.splitlines() if line.strip().startswith(("50%", "99%"))}
    return rate, failed, latency


def measure(folder, port, script, clients, seconds):
    return figures(run(command(folder, port, script, clients, seconds), deadline_s=seconds + 60))


def fill(folder, region, secrets, value_bytes, deadline_s=900):
    """Writes so many secrets, each once. Secrets a second."""
    if missing("wrk"):
        return load(region, secrets, value_bytes)
    port = region.ports[region.leading()]
    before = region.status()["entries"]
    script = LOAD % (value_of(value_bytes), secrets, region.token)
    began = time.monotonic()
    child = start(command(folder, port, script, 128, deadline_s))
    # A secret of KV v2 is two entries: its metadata and its version. wrk asks its script for a few requests that it never
    # sends.
    while region.status()["entries"] < before + 2 * secrets - 16:
        if child.poll() is not None or time.monotonic() > began + deadline_s:
            raise SystemExit(f"{secrets} secrets were not written in {deadline_s} s")
        time.sleep(0.1)
    took = time.monotonic() - began
    end(child)
    return secrets / took
