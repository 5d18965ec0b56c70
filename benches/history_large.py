"""History where it is large: what a small machine must still answer.

    benches/history_large.py memory   two years of 2,000 series (334 stations, six values every 15 minutes: 140 million readings), the
                                      import and the engine in 512 MiB of a cgroup, page cache included
    benches/history_large.py disorder a year of 50 stations, one report in ten late by up to a day: from a file that was read to what
                                      can be queried, per CPU second, beside the same in order
    benches/history_large.py decade   ten years of 198 series (33 stations): daily extremes of all of them, nothing in any cache

`--quick` makes both small. Linux with cgroup v1 or v2 that we may write to; `decade` wants to drop the page cache.
"""

import argparse
import heapq
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import history
from common import QUICK, ROOT, Http, conftest, memory_mib, query, say

LIMIT_BYTES = 512 << 20


class Limited:
    """A cgroup of so much memory for what is started by `start`."""

    def __init__(self, limit=LIMIT_BYTES):
        old = pathlib.Path("/sys/fs/cgroup/memory")
        self.folder = (old if old.is_dir() else pathlib.Path("/sys/fs/cgroup")) / f"saltline-bench-{os.getpid()}"
        self.limit, self.most = (("memory.limit_in_bytes", "memory.max_usage_in_bytes") if old.is_dir() else ("memory.max", "memory.peak"))
        self.folder.mkdir()
        (self.folder / self.limit).write_text(str(limit))

    def enter(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def peak_mib(self):
        return round(int((self.folder / self.most).read_text()) / 2**20, 1)

    def close(self):
        self.folder.rmdir()


def imported(engine, csv, before=None):
    began = time.monotonic()
    done = subprocess.run([conftest.SALTLINE, "import", csv, "--create", "--config", engine.config],
                          capture_output=True, text=True, preexec_fn=before)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return round(time.monotonic() - began, 1)


def memory(root):
    history.FROM = "2024-10-01T00:00:00Z"
    stations, until = (3, "2024-10-08T00:00:00Z") if QUICK else (334, "2026-10-01T00:00:00Z")
    csv, readings = history.make(root, "csv", stations, until)
    engine, limited = conftest.Engine(root), Limited()
    try:
        import_s = imported(engine, csv, limited.enter)
        csv.unlink()
        real = subprocess.Popen
        subprocess.Popen = lambda *words, **named: real(*words, preexec_fn=limited.enter, **named)
        engine.start()
        subprocess.Popen = real
        asking = Http(int(engine.http.rsplit(":", 1)[1]))
        history.settled(engine, asking)
        span = {"from": history.FROM, "to": until}
        one = "/api/v1/stations/s0001/readings"
        asked = {
            "daily": query(one, parameter="salinity", every="day", **span), "latest": "/api/v1/latest",
            "above": query("/api/v1/spells", parameter="salinity", above=4, every="month", **span),
            "points=1000": query(one, parameter="salinity", points=1000, **span),
        }
        answers = {name: history.median_ms(asking, path) for name, path in asked.items()}
        said = {"bench": "history_large", "what": "memory", "readings": readings, "limit_mib": LIMIT_BYTES >> 20, "import_s": import_s,
                "cgroup_peak_mib": limited.peak_mib(), **memory_mib(engine.process.pid), "answers": answers}
        engine.stop(120)
        return said
    finally:
        if engine.process and engine.process.poll() is None:
            engine.kill()
        limited.close()


def decade(root):
    history.FROM = "2016-10-01T00:00:00Z"
    stations, until = (2, "2016-10-20T00:00:00Z") if QUICK else (33, "2026-10-01T00:00:00Z")
    csv, readings = history.make(root, "csv", stations, until)
    engine = conftest.Engine(root)
    import_s = imported(engine, csv)
    csv.unlink()
    engine.start()
    asking = Http(int(engine.http.rsplit(":", 1)[1]))
    history.settled(engine, asking)
    engine.stop(120)
    os.sync()
    dropped = True
    try:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")
    except OSError:
        dropped = False
    engine.start()
    asking = Http(int(engine.http.rsplit(":", 1)[1]))
    paths = [query(f"/api/v1/stations/s{station:04}/readings", parameter=parameter, every="day", **{"from": history.FROM, "to": until})
             for station in range(stations) for parameter in history.PARAMETERS]
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        size = sum(len(asking.ask(path)) for path in paths)
        taken.append(round((time.perf_counter() - began) * 1e3))
    said = {"bench": "history_large", "what": "decade", "readings": readings, "series": len(paths), "import_s": import_s,
            "page_cache_dropped": dropped, "daily_extremes_cold_ms": taken[0], "again_ms": taken[1], "bytes": size,
            **memory_mib(engine.process.pid)}
    engine.stop(60)
    return said


def late(path, by, share=0.1, seed=1):
    """The same rows, this share of the reports later by up to so many others."""
    dice, out = random.Random(seed), path.with_suffix(".late.csv")
    waiting = []  # A heap: when it is due, then the report's rows.
    with open(path) as rows, open(out, "w") as to:
        to.write(next(rows))
        count = 0
        for _, report in itertools.groupby(rows, key=lambda row: row.split(",", 2)[:2]):
            report = "".join(report)
            count += 1
            if dice.random() < share:
                heapq.heappush(waiting, (count + dice.randint(1, by), count, report))
            else:
                to.write(report)
            while waiting and waiting[0][0] <= count:
                to.write(heapq.heappop(waiting)[2])
        to.writelines(report for _, _, report in sorted(waiting))
    return out, count


def disorder(root):
    """Everything of it counts: reading the text, the journal with its syncs, decoding it again, history."""
    rates = {}
    stations = 2 if QUICK else 50
    csv, readings = history.make(root, "csv", stations)
    shuffled, reports = late(csv, 96 * stations)
    for name, path in (("in order", csv), ("a tenth late", shuffled)):
        (root / name).mkdir()
        engine = conftest.Engine(root / name)
        cpu = history.children_cpu()
        imported(engine, path)
        cpu = history.children_cpu() - cpu
        counted = json.loads(engine.cli("store", "stats", "-o", "json"))
        stored = sum(series["readings"] for series in counted["series"])
        assert stored == readings, (stored, readings)
        rates[name] = {"readings_per_cpu_s": round(readings / cpu), "reports_per_cpu_s": round(reports / cpu)}
    return {"bench": "history_large", "what": "disorder", "readings": readings, "reports": reports, **rates}


def main():
    words = argparse.ArgumentParser()
    words.add_argument("what", nargs="*", default=["memory", "disorder", "decade"])
    words.add_argument("--quick", action="store_true")
    for what in words.parse_args().what:
        with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR", ROOT / "artefacts")) as root:
            say({"memory": memory, "disorder": disorder, "decade": decade}[what](pathlib.Path(root)))


if __name__ == "__main__":
    sys.exit(main())
