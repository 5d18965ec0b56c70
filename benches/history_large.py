"""History where it is large: what a small machine must still answer.

    benches/history_large.py memory   two years of 2,000 series (334 stations, six values every 15 minutes: 140 million readings), the
                                      import and the engine in 512 MiB of a cgroup, page cache included
    benches/history_large.py disorder a year of 50 stations, one report in ten late by up to a day: from a file that was read to what
                                      can be queried, per CPU second, beside the same in order
    benches/history_large.py latest   2,000 stations of six series: the newest value of each, in one answer
    benches/history_large.py polars   a year of 200 stations: what the engine answers over HTTP beside what Polars answers out of the
                                      same sealed files in its own process, whether both say the same, and CPU seconds of each
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
from common import QUICK, ROOT, Http, conftest, cpu_seconds, memory_mib, query, say

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


def engine_with(root, stations, until):
    """An engine that has the twin's readings, sealed and merged."""
    csv, readings = history.make(root, "csv", stations, until)
    engine = conftest.Engine(root)
    imported(engine, csv)
    csv.unlink()
    engine.start()
    asking = Http(int(engine.http.rsplit(":", 1)[1]))
    history.settled(engine, asking)
    return engine, asking, readings


def latest(root):
    stations = 20 if QUICK else 2000
    engine, asking, readings = engine_with(root, stations, "2025-10-02T00:00:00Z")
    rows = json.loads(asking.ask("/api/v1/latest"))
    assert len(rows) == stations * len(history.PARAMETERS), len(rows)
    before, began = cpu_seconds(engine.process.pid), time.monotonic()
    answer = history.median_ms(asking, "/api/v1/latest")
    cpu = cpu_seconds(engine.process.pid) - before
    said = {"bench": "history_large", "what": "latest", "stations": stations, "series": len(rows), **answer,
            "cpu_ms_of_an_answer": round(cpu / (3 + history.ROUNDS) * 1e3, 2), "wall_s": round(time.monotonic() - began, 2)}
    engine.stop(60)
    return said


def by_polars(files, station):
    """The same questions for Polars, lazily over all sealed files; a reading is of its newest row."""
    import polars

    # Of a time that came again the newest row counts: this year has none, or the answers would differ.
    def of(where=True):
        return polars.scan_parquet(files).filter(where).select("station", "taken_at", polars.col("salinity.value").cast(polars.Float64).alias("salinity"))

    salinity = polars.col("salinity")
    month, hour = polars.col("taken_at").dt.offset_by("7h").dt.month(), polars.col("taken_at").dt.offset_by("7h").dt.hour()
    one = polars.col("station") == station
    return {
        "raw": of(one).select("taken_at", salinity),
        "daily": of(one).group_by(polars.col("taken_at").dt.offset_by("7h").dt.date())
                        .agg(salinity.min().alias("min"), salinity.max().alias("max"), salinity.mean().alias("mean")),
        "above": of().group_by("station", month).agg(((salinity >= 4).sum() / 4).alias("hours")),
        "month and hour": of(one).group_by(month.alias("month"), hour.alias("hour"))
                             .agg(*(salinity.quantile(p, "linear").alias(f"p{p}") for p in (0.05, 0.5, 0.95))),
    }


def polars(root):
    stations, until = (3, history.UNTIL) if QUICK else (200, history.UNTIL)
    engine, asking, readings = engine_with(root, stations, until)
    station, span = f"s{min(10, stations - 1):04}", {"from": history.FROM, "to": until}
    path = f"/api/v1/stations/{station}"
    asked = {
        "raw": query(f"{path}/readings", parameter="salinity", **span),
        "daily": query(f"{path}/readings", parameter="salinity", every="day", **span),
        "above": query("/api/v1/spells", parameter="salinity", above=4, every="month", **span),
        "month and hour": query(f"{path}/statistics", parameter="salinity", by="month-hour", percentiles="5,50,95", **span),
    }
    files = sorted((engine.data / "history").glob("*.parquet"))
    questions, found = by_polars(files, station), {}
    for name, question in asked.items():
        before = cpu_seconds(engine.process.pid)
        ours = history.median_ms(asking, question)
        ours["cpu_ms"] = round((cpu_seconds(engine.process.pid) - before) / (3 + history.ROUNDS) * 1e3, 1)
        lazily, taken = questions[name], []
        lazily.collect()
        cpu = time.process_time()
        for _ in range(history.ROUNDS):
            began = time.perf_counter()
            rows = lazily.collect()
            taken.append((time.perf_counter() - began) * 1e3)
        theirs = {"ms": round(history.quantile(taken, 0.5), 2), "ms_least": round(min(taken), 2),
                  "cpu_ms": round((time.process_time() - cpu) / history.ROUNDS * 1e3, 1), "rows": rows.height}
        found[name] = {"saltline": ours, "polars": theirs}
    same_answers(asking, asked, {name: lazily.collect() for name, lazily in questions.items()})
    said = {"bench": "history_large", "what": "polars", "stations": stations, "readings": readings, "files": len(files), **found}
    engine.stop(60)
    return said


def same_answers(asking, asked, theirs):
    """Does Polars say what we say? Sums of it, to the last digits that sums have."""
    near = lambda a, b: abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1)
    ask = lambda name: json.loads(asking.ask(asked[name]))
    raw, daily, above, spread = (ask(name) for name in asked)
    assert len(raw["readings"]) == theirs["raw"].height
    assert near(sum(row["value"] or 0 for row in raw["readings"]), theirs["raw"]["salinity"].sum())
    assert len(daily["readings"]) == theirs["daily"].height
    for name in ("min", "max", "mean"):
        assert near(sum(row[name] for row in daily["readings"]), theirs["daily"][name].sum()), name
    # Ours measures time between readings, the count of readings does not: they differ by a reading a spell.
    hours = sum(interval["beyond_s"] for one in above["stations"] for interval in one["intervals"]) / 3600
    assert abs(hours / theirs["above"]["hours"].sum() - 1) < 0.01
    said = {(row["month"], row["hour"]): row for row in theirs["month and hour"].to_dicts()}
    assert len(said) == len(spread["groups"])
    for group in spread["groups"]:
        row = said[group["month"], group["hour"]]
        assert all(near(group["percentiles"][f"{p * 100:g}"], row[f"p{p}"]) for p in (0.05, 0.5, 0.95)), (group, row)


def main():
    words = argparse.ArgumentParser()
    words.add_argument("what", nargs="*", default=["memory", "disorder", "decade"])
    words.add_argument("--quick", action="store_true")
    for what in words.parse_args().what:
        with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR", ROOT / "artefacts")) as root:
            say({"memory": memory, "disorder": disorder, "decade": decade, "latest": latest, "polars": polars}[what](pathlib.Path(root)))


if __name__ == "__main__":
    sys.exit(main())
