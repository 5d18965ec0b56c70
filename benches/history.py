"""History: a year of readings every 15 minutes, six of each station of the estuary twin, put into ours by `saltline import`
and into the peers by their line protocol; then the same questions over HTTP on loopback, warm, the median of 20.

    benches/history.py [--quick] [--stations 200] [--peer-stations 50] [--grow 0.01,0.1,1]

A peer is measured where its program is (`stores.py`). They get as many stations as ours unless told.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import tempfile
import time

import stores
from common import QUICK, ROOT, Http, conftest, cpu_seconds, cpu_when_idle, memory_mib, quantile, query, say

FROM, UNTIL = "2025-10-01T00:00:00Z", "2025-10-04T00:00:00Z" if QUICK else "2026-10-01T00:00:00Z"
START_S, END_S = (int(time.mktime(time.strptime(at, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone) for at in (FROM, UNTIL))
ROUNDS = 5 if QUICK else 20
PARAMETERS = ["salinity", "water_level", "water_temperature", "conductivity", "ph", "battery"]


def make(folder, form, stations, until=UNTIL):
    """The twin's readings as a file; the same whatever the form."""
    path = folder / f"{stations}-{until[:10]}.{form}"
    done = subprocess.run(
        [conftest.SIM, "years", "--to", path, "--form", form, "--stations", str(stations), "--from", FROM, "--until", until],
        stdout=subprocess.PIPE, check=True)
    return path, json.loads(done.stdout)["readings"]


def median_ms(asking, path):
    size = len(asking.ask(path))
    taken = []
    for _ in range(2 + ROUNDS):
        began = time.perf_counter()
        asking.ask(path)
        taken.append((time.perf_counter() - began) * 1e3)
    return {"ms": round(quantile(taken[2:], 0.5), 2), "ms_least": round(min(taken), 2), "bytes": size}


def size_of(folder):
    return sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ours(folder, csv, readings, stations):
    """Everything of ours: the import with the journal, history brought up and sealed; then the engine and its answers."""
    engine = conftest.Engine(folder)
    cpu, began = children_cpu(), time.monotonic()
    done = subprocess.run([conftest.SALTLINE, "import", csv, "--create", "--config", engine.config], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    cpu, wall = children_cpu() - cpu, time.monotonic() - began
    history, journal = size_of(engine.data / "history"), size_of(engine.data / "journal")
    engine.start()
    http_of = Http(int(engine.http.rsplit(":", 1)[1]))
    settling = settled(engine, http_of)
    settled_bytes = size_of(engine.data / "history")
    one = f"/api/v1/stations/s{min(10, stations - 1):04}/readings"
    span = {"from": FROM, "to": UNTIL}
    asked = {
        "raw": query(one, parameter="salinity", **span),
        "daily": query(one, parameter="salinity", every="day", **span),
        "latest": "/api/v1/latest",
        "above": query("/api/v1/spells", parameter="salinity", above=4, every="month", **span),
        "above another limit": query("/api/v1/spells", parameter="salinity", above=3.7, every="month", **span),
        "season points=1000": query(one, parameter="salinity", points=1000, **span),
        "tidal days": query(one, parameter="salinity", every="tidal-day", **span),
        "hours": query(one, parameter="salinity", every="1h", **span),
    }
    began = time.perf_counter()
    http_of.ask(asked["above"])
    cold = round((time.perf_counter() - began) * 1e3, 1)
    answers = {name: median_ms(http_of, path) for name, path in asked.items()}
    memory = memory_mib(engine.process.pid)
    engine.stop(60)
    return {
        "bench": "history", "store": "saltline", "stations": stations, "readings": readings, "answers": answers, "above_cold_ms": cold,
        "bytes_per_reading": round(settled_bytes / readings, 3), "bytes_per_reading_as_imported": round(history / readings, 3),
        "journal_bytes_per_reading": round(journal / readings, 3),
        "readings_per_cpu_s": round(readings / cpu), "with_settling_per_cpu_s": round(readings / (cpu + settling)),
        "import_s": round(wall, 1), **memory}


def settled(engine, asking):
    """Waits until the files of every month that is over have become one; the CPU seconds that the engine took for it."""
    count, since = None, time.monotonic()
    while time.monotonic() - since < 8:
        time.sleep(0.5)
        files = re.search(rb"^saltline_history_sealed_files (\S+)", asking.ask("/metrics"), re.M)
        files = files and files[1]
        if files != count:
            count, since = files, time.monotonic()
    return cpu_seconds(engine.process.pid)


def put_in(asking, path, lines):
    """The file, eight megabytes of whole lines at a time."""
    with open(lines, "rb") as file:
        rest = b""
        while part := file.read(8 << 20):
            whole, _, rest_of = (rest + part).rpartition(b"\n")
            asking.ask(path, whole + b"\n")
            rest = rest_of


def peer(store, lines, readings, stations, write, flush, asked, begin=None):
    """One peer in a process of its own, from empty to its answers."""
    with store.running() as process:
        time.sleep(2)
        asking, began = Http(store.port), time.monotonic()
        if begin:
            asking.ask(begin, b"")
        put_in(asking, write, lines)
        flush(asking)
        cpu, wall = cpu_when_idle(process.pid), time.monotonic() - began
        answers = {question: median_ms(asking, path) for question, path in asked.items()}
        memory = memory_mib(process.pid)
    # Once it ended: VictoriaMetrics writes what it has in memory then.
    return {
        "bench": "history", "store": store.name, "stations": stations, "readings": readings, "answers": answers,
        "bytes_per_reading": round(size_of(store.data) / readings, 3), "readings_per_cpu_s": round(readings / cpu),
        "import_s": round(wall, 1), **memory}


def victoria(program, folder, lines, readings, stations):
    one = f'readings_salinity{{station="s{min(10, stations - 1):04}"}}'
    span = {"start": START_S, "end": END_S}
    return peer(
        stores.victoria(program, folder), lines, readings, stations, "/write", lambda asking: asking.ask("/internal/force_flush"), {
            "raw": query("/api/v1/export", **{"match[]": one}, **span),
            "daily": query("/api/v1/query_range", query=f"rollup({one}[1d])", step="1d", nocache=1, **span),
            "latest": query("/api/v1/query", query='last_over_time({__name__=~"readings_.*"}[1h])', time=END_S - 1, nocache=1),
            "above": query("/api/v1/query_range", query="count_gt_over_time(readings_salinity[30d], 4) / 4", step="30d", nocache=1, **span),
        })


def questdb(jar, folder, lines, readings, stations):
    one = f"station = 's{min(10, stations - 1):04}'"
    sql = lambda text: query("/exec", query=text)
    def applied(asking):
        for _ in range(1200):
            found = json.loads(asking.ask(sql("select count() from readings")))["dataset"][0][0]
            if found * len(PARAMETERS) >= readings:
                return
            time.sleep(0.5)
        raise AssertionError("rows are missing")
    return peer(
        stores.questdb(jar, folder), lines, readings, stations, "/write?precision=n", applied, {
            "raw": sql(f"select timestamp, salinity from readings where {one}"),
            "daily": sql(f"select timestamp, min(salinity), max(salinity), avg(salinity) from readings where {one} sample by 1d"),
            "latest": sql("select * from readings latest on timestamp partition by station"),
            "above": sql("select station, timestamp, sum(case when salinity >= 4 then 1 else 0 end) / 4.0 from readings sample by 1M"),
        })


def influx(program, folder, lines, readings, stations):
    one = f"station = 's{min(10, stations - 1):04}'"
    ql = lambda text: query("/query", db="bench", q=text)
    span = f"time >= '{FROM}' and time < '{UNTIL}'"
    return peer(
        stores.influx(program, folder), lines, readings, stations, "/write?db=bench",
        lambda asking: time.sleep(15), {
            "raw": ql(f"select salinity from readings where {one} and {span}"),
            "daily": ql(f"select min(salinity), max(salinity), mean(salinity) from readings where {one} and {span} group by time(1d)"),
            "latest": ql("select last(*) from readings group by station"),
            "above": ql(f"select count(salinity) / 4 from readings where salinity >= 4 and {span} group by station, time(30d)"),
        }, begin=query("/query", q="create database bench"))


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--quick", action="store_true")
    words.add_argument("--stations", type=int, default=5 if QUICK else 200)
    words.add_argument("--peer-stations", type=int, default=5 if QUICK else 200)
    words.add_argument("--grow", default="", help="stations at which ours is measured as well, as 2,20,200")
    words.add_argument("--without-ours", action="store_true")
    words = words.parse_args()
    measures = {stores.victoria: victoria, stores.questdb: questdb, stores.influx: influx}
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR", ROOT / "artefacts")) as root:
        root = pathlib.Path(root)
        found = []
        sizes = [int(size) for size in words.grow.split(",") if size] + ([] if words.without_ours else [words.stations])
        for stations in dict.fromkeys(sizes):
            folder = root / f"ours-{stations}"
            folder.mkdir()
            csv, readings = make(root, "csv", stations)
            found.append(say(ours(folder, csv, readings, stations)))
            csv.unlink()
            shutil.rmtree(folder)
        lines = None
        for store, program in stores.programs().items():
            if program:
                lines = lines or make(root, "lines", words.peer_stations)
                found.append(say(measures[store](program, root, *lines, words.peer_stations)))
    whole = next((one for one in found if one["store"] == "saltline" and one["stations"] == words.stations), None)
    for other in found:
        if whole and other["store"] != "saltline":
            ratios = {name: round(other["answers"][name]["ms"] / whole["answers"][name]["ms"], 2) for name in other["answers"]}
            say({"bench": "history", "peer": other["store"], "its_time_over_ours": ratios,
                 "its_stations": other["stations"], "our_stations": whole["stations"]})


if __name__ == "__main__":
    main()
