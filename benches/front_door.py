"""Front door: QoS 1 publishes of a six-value report, durable, beside Mosquitto with persistence in the same run.

Messages per server-CPU-second (user and system time of the server process) for 50 connections with 20 unacknowledged
each and with one. Both servers are loaded by the same `firmware-sim load`, in turn, several rounds. Target: ratio >= 1.
"""

import json
import pathlib
import statistics
import tempfile

from common import QUICK, ROOT, conftest, cpu_when_idle, load, mosquitto, say

CONNECTIONS, ROUNDS = (10, 1) if QUICK else (50, 5)
SHAPES = ((20, 100), (1, 20)) if QUICK else ((20, 4000), (1, 1000))


def measure(pid, port, keys, window, reports):
    before = cpu_when_idle(pid)
    said = load(port, keys, CONNECTIONS, window, reports)
    return said["messages"] / max(cpu_when_idle(pid) - before, 0.01), said


def main():
    with tempfile.TemporaryDirectory(dir=ROOT / "artefacts") as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        engine = conftest.Engine(folder)
        keys = folder / "keys.json"
        keys.write_text(json.dumps([{"code": f"load-{n}", "key": engine.station(f"load-{n}")} for n in range(CONNECTIONS)]))
        engine.pack(rules__toml=conftest.RULES.replace('stations = ["xuan-hoa"]\n', ""))
        engine.start()
        peer, port = mosquitto(folder / "mosquitto", True)
        try:
            for window, reports in SHAPES:
                ours, theirs = [], []
                for _ in range(ROUNDS):
                    ours.append(measure(engine.process.pid, engine.mqtt, keys, window, reports))
                    theirs.append(measure(peer.pid, port, keys, window, reports))
                say({
                    "bench": "front door", "connections": CONNECTIONS, "in_flight": window,
                    "reports": CONNECTIONS * reports, "rounds": ROUNDS,
                    "saltline_per_cpu_s": round(statistics.median(rate for rate, _ in ours)),
                    "mosquitto_per_cpu_s": round(statistics.median(rate for rate, _ in theirs)),
                    "ratio": round(statistics.median(a[0] / b[0] for a, b in zip(ours, theirs)), 2),
                    "last": ours[-1][1],
                })
        finally:
            engine.kill()
            peer.kill()
            peer.wait()


if __name__ == "__main__":
    main()
