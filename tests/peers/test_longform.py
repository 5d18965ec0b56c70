"""Years of readings in and out again: other programs' files, kills in the middle, bad files, everything compared."""

import csv
import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import threading
import time

import paho.mqtt.client as mqtt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from conftest import ROOT, SALTLINE, SHARED, Engine, wait_for

SWMP = str(ROOT / "configs/import/swmp.toml")
COLUMNS = ["time_utc", "station", "parameter", "value", "unit", "source_flag"]
# What tables and units make of the records' words: `configs/import/*.toml`, read here by hand.
OURS = {
    "water_temp": "water_temperature", "spcond25": "conductivity_25", "do": "dissolved_oxygen", "rain": "rainfall",
    "level": "water_level", "air_temp": "air_temperature", "rel_humidity": "humidity", "wind_dir": "wind_direction",
    "depth": "sensor_depth", "depth_corr": "sensor_depth_corrected", "level_corr": "water_level_corrected",
    "do_sat": "oxygen_saturation",
}
FLAGS = {"<0>": 1, "<1>": 3, "<2>": 2, "<3>": 1, "<4>": 2, "<5>": 1, "<-2>": 4, "<-3>": 4, "<-4>": 4, "<-5>": 4, "": 2}


def run(engine, *words, code=0, seconds=600):
    """A command with its answer in JSON, and what it said."""
    done = subprocess.run([SALTLINE, *map(str, words), "--config", engine.config, "-o", "json"], text=True,
                          capture_output=True, timeout=seconds)
    assert done.returncode == code, (done.returncode, done.stderr)
    return json.loads(done.stdout or "null"), done.stderr


def exported(engine, path, *words):
    run(engine, "export", *words, "-O", path)
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def made(path, rows=7_200, stations=3, step_ms=900_000, header=True):
    """A file as somebody's database writes it: each parameter by itself."""
    start = 1_577_836_800_000  # 2020-01-01
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(COLUMNS)
        for station in range(stations):
            for parameter, unit in (("salinity", "psu"), ("water_temp", "degC"), ("ph", "1")):
                for n in range(rows // stations // 3):
                    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((start + n * step_ms) / 1000))
                    out.writerow([at, f"s{station}", parameter, round(random.uniform(0, 9), 3), unit, "<0>"])
    return path


def publish(engine, key, values):
    """One live report, acknowledged."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="xuan-hoa")
    client.username_pw_set("xuan-hoa", key)
    client.connect("127.0.0.1", engine.mqtt)
    client.loop_start()
    client.publish("stations/xuan-hoa/readings", json.dumps({"values": values}), qos=1).wait_for_publish(10)
    client.loop_stop()
    client.disconnect()


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_what_is_exported_beside_an_engine_goes_into_another_and_comes_out_the_same(engine, tmp_path, form):
    saltline = engine(history={"tail_readings_max": 2_000}).start()
    key = saltline.station("xuan-hoa")
    run(saltline, "import", made(tmp_path / "years.csv"), "--create")
    publish(saltline, key, {"salinity": 1.25, "ph": None, "turbidity": {"value": 7, "status": "fault"}})
    first = exported(saltline, tmp_path / f"first.{form}")  # What was acknowledged is in it, sealed or not.
    assert saltline.stop() == 0
    again = exported(saltline, tmp_path / f"again.{form}")
    assert digest(first) == digest(again), "with and without the engine it is the same"
    (tmp_path / "other").mkdir()
    other = Engine(tmp_path / "other")
    (row,), _ = run(other, "import", first, "--create")
    assert row["readings"] == 7_203 and row["refused"] == 0
    back = exported(other, tmp_path / f"back.{form}")
    assert digest(back) == digest(first)
    other.start()
    rows = other.readings("xuan-hoa", "turbidity")
    assert [(row["value"], row["flag"]) for row in rows] == [(7, 4)]
    assert other.stop() == 0


def test_an_outsider_reads_our_parquet_and_we_read_what_an_outsider_writes(engine, tmp_path):
    saltline = engine()
    run(saltline, "import", made(tmp_path / "years.csv"), "--create")
    table = pq.read_table(exported(saltline, tmp_path / "ours.parquet"))
    assert table.column_names == COLUMNS and table.num_rows == 7_200
    assert table.schema.field("time_utc").type == pa.timestamp("ms", tz="UTC")
    assert set(table["unit"].to_pylist()) == {"g/L", "°C", ""}
    # As pandas, DuckDB or Spark might have it: snappy, dictionaries, microseconds, short floats, flags as numbers.
    kinds = {
        "snappy": dict(compression="snappy"), "gzip": dict(compression="gzip"), "plain": dict(compression="none"),
        "lz4": dict(compression="lz4"), "old": dict(use_deprecated_int96_timestamps=True),
    }
    theirs = table.set_column(0, "time_utc", table["time_utc"].cast(pa.timestamp("us", tz="UTC")))
    theirs = theirs.set_column(1, "station", theirs["station"].dictionary_encode())
    theirs = theirs.set_column(5, "source_flag", theirs["source_flag"].cast(pa.int64()))
    theirs = theirs.append_column("quality", pa.nulls(theirs.num_rows, pa.string()))
    for kind, how in kinds.items():
        path, folder = tmp_path / f"{kind}.parquet", tmp_path / kind
        pq.write_table(theirs, path, row_group_size=1_700, **how)
        folder.mkdir()
        other = Engine(folder)
        zone = ["--utc-offset", "Z"] if kind == "old" else []  # INT96 has no zone.
        (row,), said = run(other, "import", path, "--create", *zone)
        assert row["readings"] == 7_200 and "mean nothing here: quality" in said, kind
        assert digest(exported(other, folder / "back.parquet")) == digest(tmp_path / "ours.parquet"), kind


def expected(path):
    """The source's rows in our words: (time in ms, our parameter) → value and flag before our own tests."""
    table = pq.read_table(path)
    for name in ("station", "parameter", "unit", "source_flag"):
        table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.string()))
    return table


def test_every_value_of_the_real_records_comes_in_and_reads_back(engine, tmp_path):
    files = sorted((SHARED / "data/series").glob("*.parquet"))
    if not files:
        pytest.skip("../shared/data is not here")
    if not os.environ.get("SALTLINE_ALL_RECORDS"):
        files = [path for path in files if path.stem in ("welsm_2019", "xuanhoa_level_2020", "apaeb_met_2012_2013")]
    saltline = engine()
    began = os.times()
    rows, _ = run(saltline, "import", *files, "--create", "--parameters", SWMP, seconds=1_800)
    took = os.times()
    count = sum(row["rows"] for row in rows)
    cpu = took.children_user + took.children_system - began.children_user - began.children_system
    print(f"{count} rows of {len(files)} records, {count / cpu:.0f} rows per CPU-second, history included")
    assert all(row["refused"] == 0 and row["readings"] + row["repeated"] == row["rows"] for row in rows)
    limits = ranges()
    for path in files:
        source, station = expected(path), path.stem.split("_")[0]
        ours = pq.read_table(exported(saltline, tmp_path / f"{station}.parquet", "--station", station))
        names = pa.array([OURS.get(name, name) for name in source["parameter"].to_pylist()])
        source = source.set_column(2, "parameter", names)
        order = [("parameter", "ascending"), ("time_utc", "ascending")]
        source, ours = source.sort_by(order), ours.sort_by(order)
        assert ours.num_rows == source.num_rows
        for column in ("time_utc", "parameter", "value"):
            same = pc.equal(ours[column], source[column].cast(ours[column].type))
            assert pc.all(pc.fill_null(same, False)).as_py(), (path, column)
        words = [text.split(" ")[0].split("[")[0].split("(")[0] for text in source["source_flag"].to_pylist()]
        values, names = ours["value"].to_pylist(), ours["parameter"].to_pylist()
        flags = ours["source_flag"].to_pylist()
        for word, name, value, flag in zip(words, names, values, flags):
            assert int(flag) == judged(FLAGS[word], value, limits.get(name)), (word, name, value, flag)
    assert run(saltline, "store", "verify")[0]


def ranges():
    """The gross ranges of our parameters that the records can leave, from `domain/src/parameter.rs`."""
    return {
        "salinity": ((-0.05, 40.0), (-0.05, 38.0)), "conductivity_25": ((0, 100), None),
        "water_temperature": ((5, 45), (22, 36)), "water_level": ((-5, 5), (-2.3, 2.6)), "ph": ((0, 14), (5, 9.5)),
        "dissolved_oxygen": ((0, 20), (1, 14)), "turbidity": ((0, 4000), None), "rainfall": ((0, 300), None),
        "air_temperature": ((-20, 55), None), "humidity": ((0, 100), None), "air_pressure": ((870, 1085), None),
        "wind_speed": ((0, 90), None), "wind_direction": ((0, 360), None),
    }


def judged(said, value, limits):
    """The worse of what the source said and what QARTOD's gross range says: 2 < 1 < 3 < 4."""
    if limits is None:
        return said
    fail, suspect = limits
    own = 4 if not fail[0] <= value <= fail[1] else 3 if suspect and not suspect[0] <= value <= suspect[1] else 1
    rank = [2, 1, 3, 4]
    return max(said, own, key=rank.index)


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside an engine"])
def test_an_import_that_is_killed_ten_times_ends_with_exactly_the_rows(engine, tmp_path, beside):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    path = made(tmp_path / "years.csv", rows=225_000, stations=5)
    saltline = engine(history={"tail_readings_max": 20_000})
    if beside:
        saltline.start()
    killed = 0
    for n in range(10):
        half = subprocess.Popen([SALTLINE, "import", path, "--create", "--config", saltline.config],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(0.05, 0.4))
        if beside and n % 3 == 2:  # The engine goes too, with pieces in its folder.
            saltline.kill()
        if half.poll() is None:
            killed += 1
            half.send_signal(signal.SIGKILL)
        half.wait()
        if beside and n % 3 == 2:
            saltline.start()
    (row,), said = run(saltline, "import", path, "--create")
    print(killed, row, said)
    assert killed >= 5 and row["reports"] == 75_000 and row["refused"] == 0
    out = exported(saltline, tmp_path / "out.csv")
    with open(path, newline="") as file:
        wanted = {(r["time_utc"][:-1] + ".000Z", r["station"], OURS.get(r["parameter"], r["parameter"])): float(r["value"])
                  for r in csv.DictReader(file)}
    with open(out, newline="") as file:
        rows = [((r["time_utc"], r["station"], r["parameter"]), float(r["value"])) for r in csv.DictReader(file)]
    assert len(rows) == len(wanted) == 225_000 and dict(rows) == wanted
    # The same file once more stores nothing, not even where nobody remembers that it was imported.
    (row,), said = run(saltline, "import", path, "--create")
    assert "imported before" in said and row["rows"] == 0
    run(saltline, "import", path, "--create", "--again")
    assert digest(exported(saltline, tmp_path / "again.csv")) == digest(out)
    stats, _ = run(saltline, "store", "stats")
    assert sum(series["readings"] for series in stats["series"]) == 225_000
    run(saltline, "store", "verify")
    if beside:
        wait_for("accounts", lambda: saltline.metric("saltline_readings_unaccounted") == 0)
        assert saltline.stop() == 0


def test_a_live_report_does_not_wait_for_an_import(engine, tmp_path):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    path = made(tmp_path / "years.csv", rows=300_000, stations=10)
    importing = subprocess.Popen([SALTLINE, "import", path, "--create", "--config", saltline.config],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for("the first pieces", lambda: saltline.metric("saltline_import_pieces_total") > 0)
    acked, waits, client = threading.Event(), [], mqtt.Client(CallbackAPIVersion.VERSION2, client_id="xuan-hoa")
    client.username_pw_set("xuan-hoa", key)
    client.on_publish = lambda *_: acked.set()
    client.connect("127.0.0.1", saltline.mqtt)
    client.loop_start()
    while importing.poll() is None:
        acked.clear()
        began = time.monotonic()
        client.publish("stations/xuan-hoa/readings", json.dumps({"values": {"ph": 7.0}}), qos=1)
        assert acked.wait(10)
        waits.append(time.monotonic() - began)
        time.sleep(0.02)
    client.loop_stop()
    assert importing.returncode == 0
    waits.sort()
    print(f"{len(waits)} reports beside an import: PUBACK median {waits[len(waits) // 2] * 1e3:.1f} ms, worst {waits[-1] * 1e3:.1f} ms")
    assert len(waits) > 10 and waits[len(waits) * 95 // 100] < 0.5
    wait_for("history", lambda: saltline.metric("saltline_readings_stored_total") >= 300_000 + len(waits))
    assert saltline.metric("saltline_readings_unaccounted") == 0
    # Years of salt are nobody's alarm.
    assert saltline.metric("saltline_verdicts_total") == 0


def test_years_that_exceed_every_limit_tell_nobody(engine, tmp_path):
    saltline = engine().start()
    saltline.station("xuan-hoa")
    saltline.pack(rules__toml='[[rule]]\ncode = "intake"\nname = "x"\nparameter = "salinity"\nstations = ["s0"]\n'
                  'hold = "0s"\nlevels = [{ limit = 1.0, clear = 0.8 }]\n',
                  stations__toml='[[station]]\ncode = "s0"\nname = "s0"\ninterval = "15m"\n')
    time.sleep(1.5)  # The engine reads its book each second.
    run(saltline, "import", made(tmp_path / "years.csv"), "--create")
    wait_for("history", lambda: saltline.metric("saltline_readings_stored_total") == 7_200)
    assert max(row["value"] for row in saltline.readings("s0", "salinity")) > 1
    assert saltline.get("/api/v1/alerts") == [] and saltline.metric("saltline_verdicts_total") == 0
    assert saltline.stop() == 0


def write(path, *rows, header=",".join(COLUMNS)):
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


GOOD = "2020-01-01T00:00:00Z,s0,salinity,1.5,psu,<0>"


@pytest.mark.parametrize("row, reason, part", [
    ("2020-01-01 00:15:00,s0,salinity,1.5,psu,<0>", "no_offset", "write Z or +07:00"),
    ("yesterday,s0,salinity,1.5,psu,<0>", "bad_time", "`yesterday`"),
    ("1999-12-31T00:00:00Z,s0,salinity,1.5,psu,<0>", "too_old", "is before 2000-01-01"),
    ("2099-01-01T00:00:00Z,s0,salinity,1.5,psu,<0>", "in_future", "is ahead of"),
    ("2020-01-01T00:15:00Z,nobody,salinity,1.5,psu,<0>", "unknown_station", "--create makes it"),
    ("2020-01-01T00:15:00Z,s0,salinty,1.5,psu,<0>", "unknown_parameter", "did you mean `salinity`?"),
    ("2020-01-01T00:15:00Z,s0,salinity,1.5,mS/cm,<0>", "wrong_unit", "is a unit of conductivity; is it conductivity"),
    ("2020-01-01T00:15:00Z,s0,water_temp,15,degc2,<0>", "wrong_unit", "did you mean `deg"),
    ("2020-01-01T00:15:00Z,s0,spcond25,15200,mS/cm,<0>", "wrong_unit", "likely µS/cm"),
    ("2020-01-01T00:15:00Z,s0,salinity,much,psu,<0>", "not_a_number", "`much` is not a number"),
    ("2020-01-01T00:15:00Z,s0,salinity,1e300,psu,<0>", "not_a_number", "is not a number of a sensor"),
    ("2020-01-01T00:15:00Z,s0,salinity,1.5,psu,<9>", "unknown_status", "name it in one of --flags"),
    ("2020-01-01T00:15:00Z,s0,salinity", "malformed", "3 cells; the header has 6"),
    ("2020-01-01T00:00:00Z,s0,salinity,2.5,psu,<0>", "repeated_parameter", "row 2 says something else"),
], ids=lambda text: text if "_" in text and "," not in text else "")
def test_a_bad_row_stops_an_import_or_is_written_beside_it(engine, tmp_path, row, reason, part):
    saltline = engine()
    saltline.station("s0")
    path = write(tmp_path / "a.csv", GOOD, row, GOOD.replace("00:00:00", "00:30:00"))
    _, said = run(saltline, "import", path, code=1)
    assert f"line 3: {reason}: " in said and part in said and "--skip-bad" in said, said
    assert len(list(csv.reader(open(exported(saltline, tmp_path / "none.csv"))))) == 1, "nothing went in"
    (done,), said = run(saltline, "import", path, "--skip-bad", code=1)
    assert (done["rows"], done["readings"], done["refused"]) == (3, 2, 1) and "a.csv.refused.csv" in said
    with open(tmp_path / "a.csv.refused.csv", newline="") as file:
        (refused,) = csv.DictReader(file)
    assert refused["line"] == "3" and refused["reason"] == reason and part in refused["detail"]
    assert len(list(csv.reader(open(exported(saltline, tmp_path / "two.csv"))))) == 3


def test_what_was_refused_is_mended_where_it_stands_and_goes_in(engine, tmp_path):
    saltline = engine()
    saltline.station("s0")
    path = write(tmp_path / "a.csv", GOOD, "2020-01-01T00:15:00Z,s0,salinty,2.5,psu,<0>")
    run(saltline, "import", path, "--skip-bad", code=1)
    refused = tmp_path / "a.csv.refused.csv"
    refused.write_text(refused.read_text().replace(",salinty,", ",salinity,"))
    (done,), said = run(saltline, "import", refused)
    assert done["readings"] == 1 and "mean nothing here: line, reason, detail" in said


@pytest.mark.parametrize("make, part", [
    (lambda p: write(p / "a.csv", "1,2", header="time,station,parameter,values,unit"), "time_utc is missing; is it `time`"),
    (lambda p: write(p / "a.csv", "2020-01-01T00:00:00Z,ph,7", header="time_utc,parameter,value"), "or say --station CODE"),
    (lambda p: write(p / "a.xlsx"), "save it as CSV first"),
    (lambda p: (p / "a.csv").write_bytes(b"\xff\xfe\x00") and p / "a.csv", "its first line is not UTF-8"),
    (lambda p: (p / "a.csv").write_bytes(b"") or p / "a.csv", "it is empty"),
    (lambda p: (p / "a.parquet").write_bytes(b"PAR1 and no more") and p / "a.parquet", "no whole Parquet file"),
    (lambda p: (p / "a.jsonl").write_text("[1]\n") and p / "a.jsonl", "no JSON object"),
    (lambda p: (p / "a.csv.gz").write_bytes(b"not gzip at all") and p / "a.csv.gz", "gz"),
], ids=["columns", "station", "spreadsheet", "not UTF-8", "empty", "truncated Parquet", "no object", "no gzip"])
def test_a_file_that_is_none_is_told_so(engine, tmp_path, make, part):
    saltline = engine()
    path = make(tmp_path)
    _, said = run(saltline, "import", path, "--create", code=1)
    assert part in said and path.name in said, said


def test_a_small_file_that_unpacks_to_very_much_is_let_go(engine, tmp_path):
    saltline = engine()
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write(",".join(COLUMNS) + "\n")
        for _ in range(200):
            file.write((GOOD + "\n") * 2_000)
    _, said = run(saltline, "import", path, "--create", "--unpacked-max", "1MiB", code=1)
    assert "more than 1048576 bytes" in said
    zeros = tmp_path / "zeros.csv.gz"
    with gzip.open(zeros, "wb") as file:
        file.write(b"\0" * (32 << 20))
    _, said = run(saltline, "import", zeros, "--create", code=1)
    assert "a line of more than" in said


def test_an_export_takes_what_is_asked_and_writes_over_nothing(engine, tmp_path):
    saltline = engine()
    run(saltline, "import", made(tmp_path / "years.csv"), "--create")
    out = exported(saltline, tmp_path / "part.csv", "--station", "s1", "--parameter", "ph",
                   "--from", "2020-01-02T00:00:00Z", "--to", "2020-01-03T07:00:00+07:00")
    rows = list(csv.DictReader(open(out)))
    assert len(rows) == 96 and {(r["station"], r["parameter"]) for r in rows} == {("s1", "ph")}
    assert rows[0]["time_utc"] == "2020-01-02T00:00:00.000Z" and rows[-1]["time_utc"] == "2020-01-02T23:45:00.000Z"
    _, said = run(saltline, "export", "-O", out, code=1)
    assert "is not written over" in said
    run(saltline, "export", "-O", tmp_path / "x.csv", "--station", "s9", code=1)
    run(saltline, "export", "-O", tmp_path / "x", code=2)
    run(saltline, "export", "-O", tmp_path / "x.csv", "--from", "2020-01-02", code=2)
    done = subprocess.run([SALTLINE, "export", "-O", "-", "--format", "csv", "--config", saltline.config],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.count("\n") == 7_201 and "7200 readings of 3 stations" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix in (".csv", ".part")) == ["part.csv", "years.csv"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_an_export_that_is_killed_goes_on_after_its_last_whole_month(engine, tmp_path, form):
    saltline = engine()
    run(saltline, "import", made(tmp_path / "years.csv", rows=450_000, stations=5), "--create")
    whole, out = exported(saltline, tmp_path / f"whole.{form}"), tmp_path / f"out.{form}"
    begun = tmp_path / f".out.{form}.export"
    went_on = 0
    for _ in range(3):
        half = subprocess.Popen([SALTLINE, "export", "-O", out, "--config", saltline.config], stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)
        before = (begun / "note.json").read_bytes() if begun.is_dir() else b""
        while half.poll() is None and (not (begun / "note.json").exists() or (begun / "note.json").read_bytes() == before):
            time.sleep(0.002)
        half.send_signal(signal.SIGKILL)
        went_on += "goes on with the export" in half.communicate()[1]
    assert not out.exists() and went_on >= 1 and begun.is_dir()
    row, said = run(saltline, "export", "-O", out)
    assert "goes on with the export that was interrupted" in said and row["readings"] == 450_000 and row["stations"] == 5
    assert not begun.exists()
    assert digest(out) == digest(whole)


def test_an_export_does_not_go_on_with_one_of_something_else(engine, tmp_path):
    saltline = engine()
    run(saltline, "import", made(tmp_path / "years.csv"), "--create")
    begun = tmp_path / ".out.csv.export"
    begun.mkdir()
    (begun / "rows").write_text("what was left\n")
    (begun / "note.json").write_text(json.dumps({"asked": "{}", "began": 0, "until": 1, "bytes": 14, "parts": 0, "readings": 1,
                                                 "changed": 0, "stations": []}))
    row, said = run(saltline, "export", "-O", tmp_path / "out.csv", "--station", "s1")
    assert "begins anew" in said and row["stations"] == 1
    assert "what was left" not in (tmp_path / "out.csv").read_text() and not begun.exists()
    # A note that cannot be read is nobody's.
    begun = tmp_path / ".again.csv.export"
    begun.mkdir()
    (begun / "note.json").write_text("{")
    run(saltline, "export", "-O", tmp_path / "again.csv", "--station", "s1")
    assert digest(tmp_path / "again.csv") == digest(tmp_path / "out.csv") and not begun.exists()


def test_verify_finds_where_history_is_not_what_the_journal_says(engine, tmp_path):
    saltline = engine(history={"tail_readings_max": 2_000})
    run(saltline, "import", made(tmp_path / "years.csv"), "--create")
    lines, said = run(saltline, "store", "verify")
    assert lines[-1]["state"] == "good" and lines[-1]["records"] == 7_200 and "not checked" in said
    # A history of something else under the same journal: every file is sound, and the values are not the journal's.
    (tmp_path / "other").mkdir()
    other = Engine(tmp_path / "other", history={"tail_readings_max": 2_000})
    run(other, "import", made(tmp_path / "others.csv"), "--create")
    subprocess.run(["rm", "-r", saltline.data / "history"], check=True)
    subprocess.run(["cp", "-r", other.data / "history", saltline.data / "history"], check=True)
    lines, said = run(saltline, "store", "verify", code=1)
    assert lines[-1]["state"] == "differs" and lines[-1]["lost"] > 5_000
    assert said.count(": the journal says") == 100
    stats, _ = run(saltline, "store", "stats")
    assert sum(file["bytes"] for file in stats["files"]) > 0
    shares = sum(series["share"] for series in stats["series"])
    assert len(stats["series"]) == 9 and 0.3 < shares <= 1.001
    assert {row["follower"]: row["lag"] for row in stats["followers"]} == {"history": 0}
