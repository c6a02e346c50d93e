"""What all parts share: figures on standard output, waiting with a deadline, children that end with the script."""

import atexit
import ctypes
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TWINKEEP = os.environ.get("TWINKEEP_BIN", str(ROOT / "target/release/twinkeep"))
DEADLINE_S = 120
CHILDREN = []


def say(figure, **values):
    print(json.dumps({"figure": figure, **values}), flush=True)


def ratio(figure, value, other, target, better):
    """A figure beside a peer's, and whether it is as good as it should be. `better` is "more" or "less"."""
    if not value or not other:
        return say(figure, ratio=None, target=target, met=None)
    of = value / other if better == "more" else other / value
    say(figure, ratio=round(of, 2), target=target, met=of >= target)


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


def die_with_parent():
    ctypes.CDLL("libc.so.6", use_errno=True).prctl(1, signal.SIGKILL)


def start(command, log=None, **more):
    """A child that is gone when the script is, however that ends."""
    out = open(log, "ab") if log else subprocess.DEVNULL
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=die_with_parent, **more)
    CHILDREN.append(child)
    return child


def run(command, deadline_s=DEADLINE_S, **more):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=deadline_s, **more)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr or done.stdout}")
    return done.stdout


def end(child):
    if child.poll() is None:
        child.kill()
    child.wait()


@atexit.register
def end_all():
    for child in CHILDREN:
        end(child)


def missing(*programs):
    return [program for program in programs if not shutil.which(program)]


def probe(folder, *words, deadline_s=DEADLINE_S):
    """Runs the stopwatch of benches/probe.rs."""
    program = folder / "probe"
    if not program.exists():
        run(["rustc", "-O", "--edition", "2024", str(ROOT / "benches/probe.rs"), "-o", str(program)])
    return json.loads(run([str(program), *map(str, words)], deadline_s))


def resident_mb(pid, field="VmRSS"):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return round(int(status.split(f"{field}:")[1].split()[0]) / 1024, 1)
