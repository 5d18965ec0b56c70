"""Modbus: 1,000 TCP slaves of six values every 10 s in one process (CPU under 20 % of a core, lateness p99 at most
200 ms), and one RS-485 line at 9,600 baud with ten slaves of which one is dead: how much of the line's theoretical
throughput is used. The million polls with injected faults run as a test:
`SALTLINE_MODBUS_POLLS=1000000 cargo test --release --test modbus no_answer`.
"""

import json
import pathlib
import re
import subprocess
import tempfile
import time

from common import QUICK, ROOT, conftest, cpu_seconds, resident_mib, say

SLAVES, SECONDS, LINE_SECONDS = (100, 12, 12) if QUICK else (1_000, 120, 120)


def sim(*words):
    process = subprocess.Popen([conftest.SIM, "modbus", *words, "--with-parent"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    return process, json.loads(process.stdout.readline())


def engine(folder, entries):
    """The engine with these lines; the stations of them are in its book."""
    saltline = conftest.Engine(folder)
    (saltline.folder / "conf.d").mkdir()
    text = ""
    for name, url, more, slaves in entries:
        text += f'[[ingest.modbus]]\nname = "{name}"\nurl = "{url}"\n{more}\nslaves = ['
        text += ", ".join(f'{{ station = "{s}", unit = {u}, profile = "saltline-sim", every = "{e}" }}' for s, u, e in slaves)
        text += "]\n"
    (saltline.folder / "conf.d/modbus.toml").write_text(text)
    stations = [s for _, _, _, slaves in entries for s, _, _ in slaves]
    saltline.pack(stations__toml="".join(f'[[station]]\ncode = "{s}"\nname = "{s}"\ninterval = "10s"\n' for s in stations))
    return saltline.start()


def bucket(saltline, name, q):
    """The upper edge of the bucket that holds the q-quantile of a histogram."""
    text = saltline.text("/metrics")[1]
    rows = [(float("inf") if edge == "+Inf" else float(edge), int(count))
            for edge, count in re.findall(rf'^{name}_bucket{{le="([^"]+)"}} (\d+)', text, re.M)]
    total = rows[-1][1]
    return next(edge for edge, count in rows if total * q <= count)


def answered(saltline):
    text = saltline.text("/metrics")[1]
    found = re.findall(r'^saltline_modbus_polls_total{[^}]*outcome="(\w+)"[^}]*} (\d+)', text, re.M)
    total = {}
    for outcome, count in found:
        total[outcome] = total.get(outcome, 0) + int(count)
    return total


def thousand(folder):
    process, ready = sim("--tcp", "127.0.0.1:0")
    lines = [(f"tcp-{n}", f"tcp://{ready['tcp']}", "", [(f"tcp-{n}", 1, "10s")]) for n in range(SLAVES)]
    saltline = engine(folder, lines)
    time.sleep(11 if not QUICK else 1)
    before, cpu, began = answered(saltline), cpu_seconds(saltline.process.pid), time.monotonic()
    time.sleep(SECONDS)
    took, used, after = time.monotonic() - began, cpu_seconds(saltline.process.pid) - cpu, answered(saltline)
    polls = after["answered"] - before.get("answered", 0)
    late = bucket(saltline, "saltline_modbus_late_seconds", 0.99)
    share = used / took
    say({"bench": "modbus tcp", "slaves": SLAVES, "every_s": 10, "polls": polls, "expected": round(SLAVES * took / 10),
         "core_share": round(share, 4), "below_20_percent": share < 0.2, "late_p99_s_at_most": late, "below_200_ms": late <= 0.2,
         "rss_mib": round(resident_mib(saltline.process.pid), 1), "others": {k: v for k, v in after.items() if k != "answered"}})
    saltline.stop(60)
    process.kill()
    process.wait()


def serial(folder):
    """Polled as fast as the line goes: each turn falls due before the last one is over."""
    process, ready = sim("--rtu-tcp", "127.0.0.1:0", "--units", "1-10", "--dead", "4", "--baud", "9600")
    slaves = [(f"bus-{unit}", unit, "500ms") for unit in range(1, 11)]
    saltline = engine(folder, [("bus", f"rtu+tcp://{ready['rtu_tcp']}", 'back_off_max = "1m"', slaves)])
    time.sleep(2)
    before, began = answered(saltline), time.monotonic()
    time.sleep(LINE_SECONDS)
    took, after = time.monotonic() - began, answered(saltline)
    polls = after["answered"] - before.get("answered", 0)
    # 13 registers: 8 characters asked, 31 answered, 3.5 of silence after each, 10 bits each.
    possible = 9_600 / 10 / (8 + 31 + 7)
    say({"bench": "modbus 9600 baud", "slaves": 10, "dead": 1, "polls_per_s": round(polls / took, 2),
         "possible_per_s": round(possible, 2), "share": round(polls / took / possible, 3),
         "others": {k: after[k] - before.get(k, 0) for k in after if k != "answered"}})
    saltline.stop(60)
    process.kill()
    process.wait()


def main():
    for bench in (thousand, serial):
        with tempfile.TemporaryDirectory(dir=ROOT / "artefacts") as folder:
            bench(pathlib.Path(folder))


if __name__ == "__main__":
    main()
