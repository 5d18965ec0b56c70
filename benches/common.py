"""What the benches share: the optimised programs, CPU time and memory of a process, the load."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/peers"))
os.environ.setdefault("SALTLINE_PROFILE", "release")
import conftest  # noqa: E402

(ROOT / "artefacts").mkdir(exist_ok=True)
QUICK = "--quick" in sys.argv
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def cpu_when_idle(pid):
    """The same once the process has nothing left to do: what was acknowledged is also stored and judged, and that counts."""
    used = cpu_seconds(pid)
    while True:
        time.sleep(0.5)
        before, used = used, cpu_seconds(pid)
        if used - before <= 2 / TICK:
            return used


def resident_mib(pid):
    """Resident memory of a process, MiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def start_load(port, keys, connections, window, reports, rate=None):
    """`firmware-sim load`: QoS 1 six-value reports, PUBACK latencies."""
    paced = ["--rate", str(rate)] if rate else []
    return subprocess.Popen(
        [conftest.SIM, "load", "--mqtt", f"127.0.0.1:{port}", "--keys", keys, "--connections", str(connections),
         "--in-flight", str(window), "--reports-per-connection", str(reports), *paced],
        stdout=subprocess.PIPE, text=True)


def load(*words, **named):
    """The same, to its end; returns what it measured."""
    running = start_load(*words, **named)
    out, _ = running.communicate(timeout=1200)
    assert running.returncode == 0, out
    return json.loads(out.strip().splitlines()[-1])


def quantile(values, q):
    """The q-quantile of some values, the nearest above."""
    return sorted(values)[min(len(values) - 1, int(len(values) * q))]


def say(row):
    """One row of results."""
    print(json.dumps(row), flush=True)
    return row
