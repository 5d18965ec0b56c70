"""The whole chain: from PUBLISH over PUBACK to where it can be asked for. Ours, which is one process, beside Mosquitto, Telegraf and
a store (VictoriaMetrics, InfluxDB 1.x, QuestDB), with Mosquitto in memory and with Mosquitto saving each second.

    benches/chain.py [--quick] [--rounds 3]

The same load for each: QoS 1, six values a report, 50 connections with 20 unacknowledged each, every report of a station a
millisecond after the one before it, so that no store takes two for one. A round starts each chain anew, from empty folders.
Per chain: reports per CPU-second of all its processes, until the store itself counts every value (`per_cpu_s`), and until
nothing is left to do (`to_idle_per_cpu_s`); seconds on the clock until the last PUBACK and until all can be asked for; the most
memory of each process, added up; and the reports that never came. Ours syncs before each PUBACK, believes and judges (one rule
over all stations); the others do neither, and Mosquitto acknowledges from memory.

Telegraf is in $TELEGRAF or on the path (with the tags `custom,inputs.mqtt_consumer,outputs.influxdb,parsers.json,serializers.influx`
`go install github.com/influxdata/telegraf/cmd/telegraf@v1.37.2` builds it in some minutes), the stores where `stores.py` says.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import stores
from common import (QUICK, ROOT, TICK, Http, conftest, cpu_seconds, cpu_when_idle, ended_after, engine_under_load, load, memory_mib,
                    mosquitto, query, say)

CONNECTIONS, WINDOW, REPORTS = (10, 20, 50) if QUICK else (50, 20, 4_000)
PARAMETERS = ("salinity", "water_level", "water_temperature", "conductivity", "ph", "battery")
ALL, VALUES = CONNECTIONS * REPORTS, len(PARAMETERS)
# How long nothing may arrive before the rest counts as lost: Telegraf tries again after 5 s, and VictoriaMetrics shows a new series
# up to 10 s later.
PATIENCE_S = 20
DAY_S = 86_400

# Its defaults keep 10,000 reports and hand out 1,000. Larger batches cost the stores less; with a persistent session it
# acknowledges to Mosquitto what its store has, which is how it loses nothing.
TELEGRAF = """
[agent]
interval = "1s"
flush_interval = "1s"
metric_batch_size = 5000
metric_buffer_limit = 500000
omit_hostname = true
precision = "1ms"
[[inputs.mqtt_consumer]]
servers = ["tcp://127.0.0.1:%(mqtt)s"]
topics = ["stations/+/readings"]
topic_tag = ""
name_override = "readings"
qos = 1
client_id = "telegraf"
persistent_session = true
max_undelivered_messages = 20000
data_format = "json"
json_time_key = "time"
json_time_format = "unix_ms"
fieldexclude = ["seq"]
[[inputs.mqtt_consumer.topic_parsing]]
topic = "stations/+/readings"
tags = "_/station/_"
[[outputs.influxdb]]
urls = ["http://127.0.0.1:%(http)s"]
database = "bench"
skip_database_creation = true
content_encoding = "identity"
"""


def in_victoria(asking):
    """Values of the load that VictoriaMetrics gives; those of the report that warmed it up do not count, here and below."""
    count = 'sum(count_over_time({__name__=~"readings_values_.*",station!="warm-up"}[1d]))'
    found = json.loads(asking.ask(query("/api/v1/query", query=count, time=int(time.time()) + 60, nocache=1)))["data"]["result"]
    return int(found[0]["value"][1]) if found else 0


def in_influx(asking):
    count = "select count(*) from readings where station != 'warm-up'"
    found = json.loads(asking.ask(query("/query", db="bench", q=count)))["results"][0].get("series")
    return sum(found[0]["values"][0][1:]) if found else 0


def in_questdb(asking):
    count = ", ".join(f"count(values_{parameter})" for parameter in PARAMETERS)
    found = json.loads(asking.ask(query("/exec", query=f"select {count} from readings where station != 'warm-up'")))["dataset"]
    return sum(found[0]) if found else 0


def warm(asking, store):
    """Whether the first report came through."""
    ask = {"VictoriaMetrics": query("/api/v1/export", **{"match[]": 'readings_values_ph{station="warm-up"}'}),
           "InfluxDB": query("/query", db="bench", q="select * from readings"), "QuestDB": query("/exec", query="readings")}[store]
    try:
        return b"warm-up" in asking.ask(ask)
    except AssertionError:
        return False  # QuestDB has no such table yet.


COUNTS = {"VictoriaMetrics": in_victoria, "InfluxDB": in_influx, "QuestDB": in_questdb}


def measure(processes, port, keys, brought, count):
    """One load through a chain of processes. `brought` says cheaply whether it may all be there; `count` asks the store."""
    pids, used = processes.values(), lambda: {name: cpu_seconds(pid) for name, pid in processes.items()}
    cpu_when_idle(*pids)
    before, began = used(), time.monotonic()
    said = load(port, keys, CONNECTIONS, WINDOW, REPORTS)
    found, grew = 0, time.monotonic()
    while True:
        while not brought() and time.monotonic() - grew < PATIENCE_S:
            time.sleep(0.1)
        at, cpu, last = time.monotonic(), used(), found
        found = count()
        if found > last:
            grew = time.monotonic()
        if found >= ALL * VALUES or time.monotonic() - grew >= PATIENCE_S:
            break
        time.sleep(0.5)
    took = {name: round(cpu[name] - before[name], 2) for name in processes}
    memory = {name: memory_mib(pid) for name, pid in processes.items()}
    to_idle = cpu_when_idle(*pids) - sum(before.values())
    rate = lambda seconds: round(said["messages"] / max(seconds, 1 / TICK))
    mib = lambda which: round(sum(one[which] for one in memory.values()), 1)
    return {
        "per_cpu_s": rate(sum(took.values())), "to_idle_per_cpu_s": rate(to_idle), "peak_mib": mib("peak_mib"), "end_mib": mib("rss_mib"),
        "acknowledged": said["messages"], "refused": said["refused"], "acknowledged_after_s": round(said["seconds"], 2),
        "queryable_after_s": round(at - began, 2), "values_found": found, "reports_lost": said["messages"] - found // VALUES,
        "p50_ms": said["p50_us"] / 1000, "p99_ms": said["p99_us"] / 1000,
        "cpu_s": took, "memory_peak_mib": {name: one["peak_mib"] for name, one in memory.items()}}


def threads(pid):
    """CPU seconds of a process by the names of its threads."""
    named = collections.Counter()
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # It may have ended.
            name, fields = (task / "stat").read_text().rsplit(")", 1)
            named[name.split("(", 1)[1]] += sum(map(int, fields.split()[11:13])) / TICK
    return named


def ours(folder):
    """The engine with a rule over all stations, as at the front door's bench."""
    engine, keys = engine_under_load(folder, CONNECTIONS, mqtt={"limits": {"publishes_per_s": 1_000_000, "bytes_per_s": "1GiB"}})
    engine.start()
    try:
        asking = Http(int(engine.http.rsplit(":", 1)[1]))
        before = threads(engine.process.pid)
        row = measure({"saltline": engine.process.pid}, engine.mqtt, keys,
                      lambda: engine.metric("saltline_readings_stored_total") >= ALL * VALUES, lambda: in_ours(asking) if last_seen(asking) else 0)
        spent = threads(engine.process.pid)
        assert row["reports_lost"] == 0 and row["refused"] == 0, row
        assert engine.metric("saltline_readings_unaccounted") == 0
    finally:
        engine.kill()
    each = {name: round((spent[name] - before[name]) * 1e6 / row["acknowledged"], 2) for name in spent}
    return row | {"threads_us_per_report": {name: us for name, us in sorted(each.items(), key=lambda one: -one[1]) if us >= 0.05}}


def in_ours(asking):
    """Values of the load, as the API counts them over the days."""
    found, now = 0, time.time()
    span = {name: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) for name, at in (("from", now - DAY_S), ("to", now + DAY_S))}
    for n in range(CONNECTIONS):
        for parameter in PARAMETERS:
            days = query(f"/api/v1/stations/load-{n}/readings", parameter=parameter, every="day", **span)
            found += sum(day["count"] for day in json.loads(asking.ask(days))["readings"])
    return found


def last_seen(asking):
    """Whether `latest` has the last report of each station: what it says of hundredths is the last report's number."""
    latest = json.loads(asking.ask("/api/v1/latest"))
    salt = [row["value"] for row in latest if row["parameter"] == "salinity"]
    return len(salt) == CONNECTIONS and all(round(value * 100) == (REPORTS - 1) % 100 for value in salt)


def theirs(folder, telegraf, start, program, saving):
    """Mosquitto, Telegraf and one store."""
    store, keys = start(program, folder), folder / "keys.json"
    keys.write_text(json.dumps([{"code": f"load-{n}", "key": ""} for n in range(CONNECTIONS)]))
    with contextlib.ExitStack() as all_of_it:
        kept = all_of_it.enter_context(store.running())
        broker, port = mosquitto(folder / "mosquitto", saving)
        all_of_it.enter_context(ended_after(broker))
        asking = Http(store.port)
        if store.name == "InfluxDB":
            asking.ask(query("/query", q="create database bench"), b"")
        config = folder / "telegraf.conf"
        config.write_text(TELEGRAF % {"mqtt": port, "http": store.port})
        log = all_of_it.enter_context(open(folder / "telegraf.log", "wb"))
        carrier = all_of_it.enter_context(ended_after(subprocess.Popen([telegraf, "--config", config], stdout=log, stderr=log)))
        warm_up(port, lambda: listening(carrier, log.name) and warm(asking, store.name))
        processes = {"mosquitto": broker.pid, "telegraf": carrier.pid, "store": kept.pid}
        return measure(processes, port, keys, Quiet(broker.pid, carrier.pid), lambda: COUNTS[store.name](asking))


def warm_up(port, came):
    """A first report, an hour old, until it came through: then Telegraf listens and the store has its table."""
    values = '"salinity":0.5,"water_level":1.5,"water_temperature":28.5,"conductivity":1.5,"ph":7.5,"battery":12.5'
    report = f'{{"time":{int(time.time() - 3600) * 1000},"seq":0,"values":{{{values}}}}}'
    said = ["mosquitto_pub", "-p", str(port), "-q", "1", "-t", "stations/warm-up/readings", "-m", report]
    conftest.wait_for("the first report", lambda: subprocess.run(said, check=True) and came(), 60, 1)


def listening(carrier, log):
    """Whether Telegraf runs; one that has ended says why."""
    assert carrier.poll() is None, pathlib.Path(log).read_text()[-2000:]
    return True


class Quiet:
    """Whether nothing moved since it was asked before: what is to be carried has been handed over."""

    def __init__(self, *pids):
        self.pids, self.at, self.used = pids, time.monotonic(), 0

    def __call__(self):
        if time.monotonic() - self.at < 0.5:
            return False
        before, self.used, self.at = self.used, sum(map(cpu_seconds, self.pids)), time.monotonic()
        return self.used - before <= 2 * len(self.pids) / TICK


def telegraf_here():
    """A Telegraf that can listen to MQTT: one that was built with few plugins may not."""
    program = os.environ.get("TELEGRAF") or shutil.which("telegraf")
    inputs = program and subprocess.run([program, "plugins", "inputs"], capture_output=True).stdout
    return program if inputs and b"mqtt_consumer" in inputs else None


def chains():
    """What is measured, by name; and a row for each that is not here."""
    found, telegraf = {"saltline": ours}, telegraf_here()
    for start, program in stores.programs().items():
        needs = {"mosquitto": shutil.which("mosquitto"), "telegraf with mqtt_consumer": telegraf, start.__name__: program}
        lacks = [name for name, there in needs.items() if not there]
        if lacks:
            say({"bench": "chain", "chain": f"mosquitto + telegraf + {start.__name__}", "skipped": f"not on this machine: {', '.join(lacks)}"})
            continue
        for how, saving in (("in memory", False), ("saving each second", True)):
            found[f"mosquitto {how} + telegraf + {start.__name__}"] = (
                lambda folder, start=start, program=program, saving=saving: theirs(folder, telegraf, start, program, saving))
    return found


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--quick", action="store_true")
    words.add_argument("--rounds", type=int, default=1 if QUICK else 3)
    rounds = range(words.parse_args().rounds)
    measured = collections.defaultdict(list)
    found = chains()
    for _ in rounds:
        for name, run in found.items():
            with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR", ROOT / "artefacts")) as folder:
                os.chmod(folder, 0o755)  # Mosquitto runs as a user of its own.
                measured[name].append(run(pathlib.Path(folder)))
    middle = {name: sorted(rows, key=lambda row: row["per_cpu_s"])[len(rows) // 2] for name, rows in measured.items()}
    for name, row in middle.items():
        say({"bench": "chain", "chain": name, "connections": CONNECTIONS, "in_flight": WINDOW, **row,
             "rounds_per_cpu_s": [one["per_cpu_s"] for one in measured[name]], "rounds_lost": [one["reports_lost"] for one in measured[name]]})
    mine = middle.pop("saltline")
    for name, row in middle.items():
        say({"bench": "chain", "beside": name, "ours_over_its_reports_per_cpu_s": round(mine["per_cpu_s"] / row["per_cpu_s"], 2),
             "its_peak_memory_over_ours": round(row["peak_mib"] / mine["peak_mib"], 2)})


if __name__ == "__main__":
    main()
