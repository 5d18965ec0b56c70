"""What the benches share: the optimised programs, CPU time and memory of a process, the load, and Mosquitto."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.parse

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


def cpu_when_idle(*pids):
    """The same of some processes once they have nothing left to do: what was acknowledged is also stored and judged, and that counts."""
    used = sum(map(cpu_seconds, pids))
    while True:
        time.sleep(0.5)
        before, used = used, sum(map(cpu_seconds, pids))
        if used - before <= 2 * len(pids) / TICK:
            return used


def resident_mib(pid):
    """Resident memory of a process, MiB."""
    return memory_mib(pid)["rss_mib"]


def memory_mib(pid):
    """Resident memory of a process now, and the most that there ever was, MiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    now, peak = (int(re.search(rf"{word}:\s+(\d+)", status).group(1)) for word in ("VmRSS", "VmHWM"))
    return {"rss_mib": round(now / 1024, 1), "peak_mib": round(peak / 1024, 1)}


@contextlib.contextmanager
def ended_after(process, seconds=60):
    """Ends what was started, and waits for it."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start_load(port, keys, connections, window, reports, rate=None):
    """`firmware-sim load`: QoS 1 six-value reports, PUBACK latencies."""
    paced = ["--rate", str(rate)] if rate else []
    return subprocess.Popen(
        [conftest.SIM, "load", "--mqtt", f"127.0.0.1:{port}", "--keys", keys, "--connections", str(connections),
         "--in-flight", str(window), "--reports-per-connection", str(reports), *paced],
        stdout=subprocess.PIPE, text=True)


def load(*words, **named):
    """The same, to its end; returns what it measured. Who lets a part of the connections in is measured by that part."""
    with ended_after(start_load(*words, **named)) as running:
        out, _ = running.communicate(timeout=1200)
    said = json.loads(out.strip().splitlines()[-1])
    assert running.returncode == 0 or 0 < said["refused"] < said["connections"], out
    return said


def engine_under_load(folder, stations, **sections):
    """An engine with as many stations as the load has, each judged by a rule; and the file with their keys."""
    engine, keys = conftest.Engine(folder, **sections), folder / "keys.json"
    book = "".join(f'[[station]]\ncode = "load-{n}"\nname = "Load {n}"\ninterval = "10s"\n' for n in range(stations))
    engine.pack(stations__toml=book, rules__toml=conftest.RULES.replace('stations = ["xuan-hoa"]\n', ""))
    rotate = lambda code: json.loads(engine.cli("station", "rotate-key", code, "-o", "json"))["key"]
    keys.write_text(json.dumps([{"code": f"load-{n}", "key": rotate(f"load-{n}")} for n in range(stations)]))
    return engine, keys


def mosquitto(folder, persistence):
    """Mosquitto that drops nothing for its listeners, in memory alone or saving each second; its process and its port."""
    folder.mkdir()
    os.chmod(folder, 0o777)
    port, config = conftest.free_port(), folder / "mosquitto.conf"
    kept = f"persistence true\npersistence_location {folder}/\nautosave_interval 1\n" if persistence else ""
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\n"
                      f"log_type error\n{kept}")
    server = subprocess.Popen(["mosquitto", "-c", config])
    knock = ["mosquitto_pub", "-p", str(port), "-t", "x", "-m", "y"]
    try:
        conftest.wait_for("mosquitto", lambda: not subprocess.run(knock, capture_output=True).returncode)
    except AssertionError:
        server.kill()
        raise
    return server, port


class Http:
    """One connection that is kept."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, path, body=None):
        self.connection.request("POST" if body is not None else "GET", path, body=body)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status < 300, (path, answer.status, text[:400])
        return text


def query(path, **pairs):
    """A path with its question."""
    return f"{path}?{urllib.parse.urlencode(pairs)}"


def quantile(values, q):
    """The q-quantile of some values, the nearest above."""
    return sorted(values)[min(len(values) - 1, int(len(values) * q))]


def say(row):
    """One row of results."""
    print(json.dumps(row), flush=True)
    return row
