"""The measurements, each by itself."""

import http.client
import os
import threading
import time

from beside import peers, wrk
from beside.common import missing, probe, ratio, resident_mb, say, wait_for
from beside.regions import Api, Region, connect, in_step, load, value_of

# What FACTS of an earlier run on the same kind of machine say, where a peer is not installed.
ETCD_CITED = 1_100
PG_PROMOTE_CITED_MS = 60


def writes(folder, args):
    """Writes and reads per second of 1 KiB, three nodes each, the same wrk."""
    rates = {}
    for binary in ("twinkeep", "bao"):
        gone = missing("wrk", *(["bao"] if binary == "bao" else []))
        if gone:
            say("writes", left_out=f"{binary}: {gone} is not installed")
            continue
        region = Region(folder, f"w-{binary}", 3, binary)
        port = region.ports[region.leading()]
        for clients in args.clients:
            script = wrk.writes(region, 1024, 1000)
            rate, failed, latency = wrk.measure(folder, port, script, clients, args.seconds)
            rates[binary, clients] = rate
            say("writes of 1 KiB/s, 3 nodes", of=binary, clients=clients, rate=rate, failed=failed, latency=latency)
        rate, failed, latency = wrk.measure(folder, port, wrk.reads(region), 64, args.seconds)
        rates[binary, "reads"] = rate
        say("reads/s, 3 nodes", of=binary, clients=64, rate=rate, failed=failed, latency=latency)
        region.stop()
    for (binary, clients), rate in rates.items():
        if binary == "twinkeep" and ("bao", clients) in rates:
            say("ratio to OpenBao", what=clients, ratio=round(rate / rates["bao", clients], 2))


def sync(folder, args):
    """A full sync of `--entries` entries of about 300 B, from the token to equal Merkle roots, beside Redis and etcd.

    An entry is one key of the data tree, as one of Redis is a key of 300 B. A secret of KV v2 is two entries (metadata and
    version), so half as many secrets are written, with values that make an entry 300 B on average."""
    rates = {}
    for engine in args.engines:
        primary = Region(folder, f"s-us-{engine}", 1, engine=engine)
        standby = Region(folder, f"s-eu-{engine}", 1, engine=engine)
        rate = wrk.fill(folder, primary, args.entries // 2, 330)
        data = primary.status()
        # What was loaded is settled before the clock runs.
        time.sleep(3)
        before = [primary.resident_mb(), standby.resident_mb()]
        began = time.monotonic()
        connect(primary, standby)
        wait_for("equal roots", lambda: in_step(primary, standby), deadline_s=600)
        took = time.monotonic() - began
        rates[engine] = data["entries"] / took
        say(
            "full sync", of=f"twinkeep, {engine}: durable, resumable", entries=data["entries"], secrets=args.entries // 2,
            bytes_per_entry=round(data["bytes"] / data["entries"]), seconds=round(took, 2),
            entries_per_s=round(rates[engine]), mb_per_s=round(data["bytes"] / took / 1e6, 1), loaded_secrets_per_s=round(rate),
            resident_mb_before=before, resident_mb_after=[primary.resident_mb(), standby.resident_mb()],
            disk_mb=[primary.disk_mb(), standby.disk_mb()],
        )
        primary.stop()
        standby.stop()
    own = rates.get("fjall") or next(iter(rates.values()))
    if gone := missing("redis-server", "redis-cli"):
        say("full sync", left_out=f"{gone} is not installed")
    else:
        took = peers.redis_full_sync(folder, args.entries, 300)
        say("full sync", of="redis (in memory, not durable)", entries=args.entries, seconds=round(took, 2), entries_per_s=round(args.entries / took))
        ratio("full sync beside Redis", own, args.entries / took, 1.0, "more")
    if gone := missing("etcd", "etcdctl"):
        say("full sync", of="etcd make-mirror, cited from an earlier run", entries_per_s=ETCD_CITED, left_out=f"{gone} is not installed")
        return ratio("full sync beside etcd make-mirror (cited)", own, ETCD_CITED, 100, "more")
    entries = args.etcd_entries
    took = peers.etcd_mirror(folder, entries, 300)
    say("full sync", of="etcd make-mirror", entries=entries, seconds=round(took, 2), entries_per_s=round(entries / took))
    ratio("full sync beside etcd make-mirror", own, entries / took, 100, "more")


def lag(folder, args):
    """From a write's answer on the primary to its being applied on the standby, at 500 and 2 000 writes/s, beside
    PostgreSQL's streaming replication; then the promotion of that standby."""
    own = {}
    primary, standby = Region(folder, "l-us", 1), Region(folder, "l-eu", 1)
    connect(primary, standby)
    wait_for("equal roots", lambda: in_step(primary, standby))
    for rate in args.rates:
        own[rate] = probe(folder, "lag", "twinkeep", primary.ports[0], standby.ports[0], primary.token, rate, args.lag_seconds)
        say(f"lag at {rate} writes/s", of="twinkeep", **own[rate])
    primary.stop()
    standby.stop()
    if not peers.postgres_programs() or missing("psql"):
        return say("lag", left_out="PostgreSQL is not installed")
    postgres = peers.Postgres(folder)
    for rate in args.rates:
        theirs = probe(folder, "lag", "postgres", *postgres.ports, "-", rate, args.lag_seconds)
        say(f"lag at {rate} writes/s", of="postgres", **theirs)
        for part in ("p50_ms", "p99_ms"):
            ratio(f"lag at {rate} writes/s beside PostgreSQL, {part}", own[rate][part], theirs[part], 1.0, "less")
    postgres.stop()


def promote(folder, args):
    """From the promotion's request to the first write that the former standby takes, beside `pg_promote`."""
    own, theirs = [], []
    for number in range(args.repeat):
        primary, standby = Region(folder, f"p-us-{number}", 3), Region(folder, f"p-eu-{number}", 3)
        connect(primary, standby)
        load(primary, 500, 300, threads=4)
        wait_for("equal roots", lambda: in_step(primary, standby))
        leader = standby.ports[standby.leading()]
        own.append(probe(folder, "promote", "twinkeep", leader, primary.token)["to_first_write_ms"])
        primary.stop()
        standby.stop()
    say("promotion to first write, ms", of="twinkeep, regions of 3", runs=own)
    if not peers.postgres_programs() or missing("psql"):
        say("promotion to first write, ms", of="pg_promote, cited from an earlier run", runs=[PG_PROMOTE_CITED_MS])
        return ratio("promotion beside pg_promote (cited)", sum(own) / len(own), PG_PROMOTE_CITED_MS, 1.0, "less")
    for number in range(args.repeat):
        (folder / f"pg-{number}").mkdir()
        postgres = peers.Postgres(folder / f"pg-{number}")
        probe(folder, "lag", "postgres", *postgres.ports, "-", 500, 1)
        theirs.append(probe(folder, "promote", "postgres", postgres.ports[1], "-")["to_first_write_ms"])
        postgres.stop()
    say("promotion to first write, ms", of="pg_promote, one node", runs=theirs)
    ratio("promotion beside pg_promote", sum(own) / len(own), sum(theirs) / len(theirs), 1.0, "less")


def leader(folder, args):
    """From `kill -9` of the leader of three nodes to the first write that another takes, with a writer on each of the
    others; beside OpenBao as it comes."""
    means = {}
    for binary in ("twinkeep", "bao"):
        if binary == "bao" and missing("bao"):
            say("leader lost to first write", left_out="bao is not installed")
            continue
        region = Region(folder, f"k-{binary}", 3, binary)
        load(region, 200, 300, threads=4)
        runs = []
        for _ in range(args.kills):
            # A cluster that has just come together moves its leader now and then.
            time.sleep(3)
            killed = region.leading()
            took = until_a_write(region, killed)
            runs.append(round(took, 3))
            region.start(killed)
            region.unseal(region.ports[killed])
            wait_for("three voters", lambda: region.voters() == 3)
        means[binary] = sum(runs) / len(runs)
        say("leader lost to first write, s", of=binary, runs=runs, mean=round(means[binary], 2), worst=max(runs), **({"target": 1.5, "met": max(runs) < 1.5} if binary == "twinkeep" else {}))
        region.stop()
    if len(means) == 2:
        ratio("leader lost, beside OpenBao", means["twinkeep"], means["bao"], 5, "less")


def until_a_write(region, killed):
    done, stop = [], threading.Event()
    body = {"data": {"v": value_of(300)}}

    def write(node):
        while not stop.is_set():
            try:
                status, _, _ = Api(region.ports[node], region.token, timeout=30)("POST", f"secret/data/after/{node}", body)
            except (OSError, http.client.HTTPException):
                status = 0
            if status == 200:
                done.append(time.monotonic())
                return stop.set()
            time.sleep(0.005)

    others = [node for node in region.alive() if node != killed]
    began = time.monotonic()
    region.processes[killed].kill()
    writers = [threading.Thread(target=write, args=(node,), daemon=True) for node in others]
    for writer in writers:
        writer.start()
    if not stop.wait(60):
        raise SystemExit("no write went through within 60 s of the leader's loss")
    region.processes[killed].wait()
    return min(done) - began


def during(folder, args):
    """Writes a second while a full sync goes on, against those without one: the same wrk, the same regions."""
    if missing("wrk"):
        return say("writes during a full sync", left_out="wrk is not installed")
    primary, standby = Region(folder, "d-us", 1), Region(folder, "d-eu", 1)
    wrk.fill(folder, primary, args.entries // 2, 330)
    time.sleep(3)
    port, seconds, clients = primary.ports[0], args.seconds, 64
    script = wrk.writes(primary, 1024, 1000)
    alone, failed, _ = wrk.measure(folder, port, script, clients, seconds)
    outcome = []
    writer = threading.Thread(target=lambda: outcome.append(wrk.measure(folder, port, script, clients, seconds)), daemon=True)
    connect(primary, standby)
    wait_for("the sync to begin", lambda: standby.status()["sync"])
    began = time.monotonic()
    writer.start()
    ended = None
    while writer.is_alive():
        if ended is None and standby.status()["whole"]:
            ended = time.monotonic() - began
        time.sleep(0.05)
    rate, failed_too, latency = outcome[0]
    lasted = "longer than the writes" if ended is None else round(ended, 2)
    say("writes of 1 KiB/s, 64 clients", alone=alone, during_a_full_sync=rate, failed=failed + failed_too, latency=latency, sync_lasted_s=lasted, writes_lasted_s=seconds)
    ratio("writes during a full sync", rate, alone, 0.67, "more")
    wait_for("equal roots", lambda: in_step(primary, standby), deadline_s=600)
    primary.stop()
    standby.stop()


def memory(folder, args):
    """What a full sync of 1 GB adds to the resident memory of either side at most, from its begin to its end."""
    primary, standby = Region(folder, "m-us", 1), Region(folder, "m-eu", 1)
    # Most of it in values of 1 KiB, as secrets are.
    secrets = args.gigabytes * 1_000_000_000 // 1_250
    wrk.fill(folder, primary, int(secrets), 1024)
    data = primary.status()
    time.sleep(5)
    pids = [region.processes[0].pid for region in (primary, standby)]
    before = [resident_mb(pid) for pid in pids]
    most = list(before)
    began = time.monotonic()
    connect(primary, standby)
    next_look = 0
    while True:
        most = [max(one, resident_mb(pid)) for one, pid in zip(most, pids)]
        if time.monotonic() > next_look:
            next_look = time.monotonic() + 0.5
            if in_step(primary, standby):
                break
        if time.monotonic() > began + 900:
            raise SystemExit("the sync took longer than 900 s")
        time.sleep(0.02)
    added = [round(high - low, 1) for high, low in zip(most, before)]
    say(
        "memory added by a full sync, MB", primary=added[0], standby=added[1], before=before, highest=most, bytes=data["bytes"],
        entries=data["entries"], seconds=round(time.monotonic() - began, 1), target=150, met=max(added) < 150,
    )
    primary.stop()
    standby.stop()


def footprint(folder, args):
    """Resident memory and disk of a node with 100 000 secrets of 300 B, beside OpenBao."""
    for binary in ("twinkeep", "bao"):
        if binary == "bao" and missing("bao"):
            say("footprint", left_out="bao is not installed")
            continue
        region = Region(folder, f"f-{binary}", 1, binary)
        rate = load(region, args.secrets, 300)
        say("a node with its secrets", of=binary, secrets=args.secrets, resident_mb=region.resident_mb(), disk_mb=region.disk_mb(), load_per_s=round(rate))
        region.stop()


PARTS = {part.__name__: part for part in (writes, sync, lag, promote, leader, during, memory, footprint)}
# Longer than each takes on two busy cores.
DEADLINES_S = {"writes": 600, "sync": 1500, "lag": 300, "promote": 600, "leader": 600, "during": 900, "memory": 1500, "footprint": 900}
