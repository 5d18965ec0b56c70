"""The tests of a province as readings come: flags, revisions, late readings, a kill, and a table that does not hold."""

import json
import subprocess
import time
import tomllib

from conftest import SALTLINE, SIM, Engine, wait_for
from test_clocks import push

STATIONS = """
[[station]]
code = "xuan-hoa"
name = "Xuân Hòa"
interval = "5m"
[[station]]
code = "my-tho"
name = "Mỹ Tho"
interval = "5m"
"""
RULES = """
[[rule]]
code = "salt"
name = "Lấy nước"
parameter = "salinity"
hold = "10m"
levels = [{ limit = 10.0, clear = 8.0 }]
"""
QUALITY = """
[[series]]
parameter = "salinity"
stations = ["xuan-hoa"]
[series.limits]
gross = { suspect = [0.0, 9.0] }
spike_differential = { suspect = 1.0, fail = 2.0 }
flat = { suspect_h = 1.0, fail_h = 1.5, tolerance = 0.01 }
"""
SPIKE, LATE, FROZEN, REPORTS = 11, 12, 30, 56


def pack(saltline, **files):
    saltline.pack(stations__toml=STATIONS, rules__toml=RULES, **files)
    key = lambda code: json.loads(saltline.cli("station", "rotate-key", code, "-o", "json"))["key"]
    saltline.keys = {code: key(code) for code in ("xuan-hoa", "my-tho")}
    return saltline


def value(n):
    if FROZEN <= n:
        return 2.5
    return {SPIKE: 4.5, LATE: 4.6, 20: 4.2}.get(n, round(2 + n % 7 / 50, 2))


def send(saltline, begin, numbers, code="xuan-hoa"):
    for n in numbers:
        body = json.dumps({"time": begin + 300 * n, "values": {"salinity": value(n)}})
        assert push(saltline, code, saltline.keys[code], body)[0] == 202


def told(saltline, code="xuan-hoa"):
    return saltline.get(f"/api/v1/stations/{code}/tests?parameter=salinity")["readings"]


def flags(saltline):
    return [row["flag"] for row in told(saltline)]


def begin():
    return int(time.time()) // 300 * 300 - 300 * (REPORTS + 12)


def live(saltline, at, kills):
    """Sends all reports, the late one last, with a kill behind each of these; what is known in the end."""
    saltline.start()
    numbers = [n for n in range(REPORTS) if n != LATE]
    for n in numbers:
        send(saltline, at, [n])
        if n in kills:
            saltline.kill()
            saltline.start()
    found = wait_for("all of them", lambda: len(told(saltline)) == len(numbers) and told(saltline))
    assert found[SPIKE]["flag"] == 4 and found[SPIKE]["tests"]["spike_differential"] == 4, found[SPIKE]
    send(saltline, at, [LATE])
    if kills:
        saltline.kill()
        saltline.start()
    wait_for("what came late", lambda: len(flags(saltline)) == REPORTS and flags(saltline)[SPIKE] == 1)
    return wait_for("its own tests", lambda: "spike_differential" in told(saltline)[LATE]["tests"] and told(saltline))


def test_flags_are_those_of_the_record_whatever_came_late_and_whatever_was_killed(engine, tmp_path):
    at, sections = begin(), {"history": {"tail_readings_max": 1000, "tail_age_max": "1s"}}
    whole = pack(engine(**sections), quality__toml=QUALITY)
    right = live(whole, at, [])
    assert right[20]["tests"] == {"timing": 1, "gross_range": 1, "spike_differential": 4, "flat_line": 1}, right[20]
    assert [row["flag"] for row in right[:FROZEN]] == [4 if n == 20 else 1 for n in range(FROZEN)]
    frozen = [row["flag"] for row in right[FROZEN:]]
    assert frozen == sorted(frozen) and {1, 3, 4} == set(frozen), frozen
    assert all(row["value"] == value(n) for n, row in enumerate(right))
    # The readings themselves carry the worst.
    assert [row["flag"] for row in whole.readings("xuan-hoa", "salinity")] == [row["flag"] for row in right]
    assert whole.metric("saltline_readings_unaccounted") == 0
    whole.stop()
    whole.cli("store", "verify")
    (tmp_path / "killed").mkdir()
    killed = pack(Engine(tmp_path / "killed", **sections), quality__toml=QUALITY)
    try:
        assert live(killed, at, [5, 11, 21, 40]) == right
        # A packet that comes again says nothing new.
        send(killed, at, [3])
        before = told(killed)
        wait_for("the packet", lambda: killed.metric("saltline_readings_duplicate_total") == 1)
        assert told(killed) == before == right
    finally:
        killed.kill()


def test_water_that_is_suspect_warns_nobody_and_a_station_without_an_entry_is_as_before(engine):
    saltline = pack(engine(), quality__toml=QUALITY).start()
    now = int(time.time()) // 300 * 300
    for n in range(-6, 1):
        for code in ("xuan-hoa", "my-tho"):
            body = json.dumps({"time": now + 300 * n, "values": {"salinity": 12.0 + n / 10}})
            assert push(saltline, code, saltline.keys[code], body)[0] == 202
    standing = lambda: {row["station"]: row["state"] for row in saltline.get("/api/v1/warnings")}
    wait_for("a warning", lambda: standing().get("my-tho") == "exceed")
    wait_for("all of them", lambda: len(told(saltline)) == 7)
    assert standing().get("xuan-hoa") != "exceed"
    assert {row["flag"] for row in told(saltline)} == {3}
    assert {row["flag"] for row in told(saltline, "my-tho")} == {1}


def test_without_a_table_nothing_is_tested_but_the_gross_range(engine):
    saltline = pack(engine()).start()
    at = begin()
    send(saltline, at, range(25))
    wait_for("all of them", lambda: len(told(saltline)) == 25)
    assert {row["flag"] for row in told(saltline)} == {1}
    assert all(row["tests"] == {} for row in told(saltline))
    # A table that is applied while it runs holds from the next report on, and what lies within its reach is settled once.
    (saltline.folder / "pack" / "quality.toml").write_text(QUALITY)
    saltline.cli("import", str(saltline.folder / "pack"))
    wait_for("the book", lambda: "registry read again" in saltline.log.read_text())
    send(saltline, at, range(25, 30))
    wait_for("tests", lambda: len(told(saltline)) == 30 and told(saltline)[28]["tests"].get("spike_differential") == 1)


def test_a_table_that_does_not_hold_is_refused_with_its_entry(engine):
    saltline = engine()
    pack(saltline)
    cases = [
        (QUALITY.replace("xuan-hoa", "nowhere"), "[[series]] 1 (salinity): no station `nowhere` is known"),
        (QUALITY.replace("suspect = 1.0, fail = 2.0", "suspect = 3.0, fail = 2.0"), "[[series]] 1 (salinity): `salinity` at `xuan-hoa`"),
        (QUALITY.replace("flat", "flatt"), "flatt"),
        ("series = [", "quality.toml"),
    ]
    for text, part in cases:
        (saltline.folder / "pack" / "quality.toml").write_text(text)
        done = subprocess.run([SALTLINE, "import", saltline.folder / "pack", "--config", saltline.config], text=True, capture_output=True, timeout=60)
        assert done.returncode == 1 and part in done.stderr, (part, done.returncode, done.stderr)


def test_a_stations_own_pace_is_learned_from_history_and_is_a_table_that_holds(engine, tmp_path):
    saltline = engine()
    path = tmp_path / "year.csv"
    subprocess.run([SIM, "years", "--to", path, "--form", "csv", "--stations", "1", "--from", "2026-01-01T00:00:00Z", "--until", "2026-04-01T00:00:00Z"],
                   stdout=subprocess.PIPE, check=True)
    saltline.cli("import", str(path), "--create")
    learned = saltline.cli("quality", "learn", "s0000", "salinity", "--class", "coast")
    entry, = tomllib.loads(learned)["series"]
    assert (entry["parameter"], entry["stations"], entry["defaults"]) == ("salinity", ["s0000"], True)
    rate = entry["limits"]["rate"]
    assert 0 < rate["suspect_per_hour"] < rate["fail_per_hour"]
    assert "readings, 2026-01-01T" in learned, "where it comes from stands beside it"
    # What somebody took away is not learned from, and neither is what is outside of the range that is asked for.
    saltline.cli("edit", "add", "s0000", "salinity", "--from", "2026-01-01T00:00:00Z", "--to", "2026-02-01T00:00:00Z", "--remove", "--reason", "wrong depth")
    assert "readings, 2026-02-01T" in saltline.cli("quality", "learn", "s0000", "salinity")
    assert saltline.cli("quality", "learn", "s0000", "salinity", "--from", "2026-03-10T00:00:00+07:00", code=1) == ""
    # It is pasted as it is, beside a running engine.
    saltline.start()
    saltline.pack(quality__toml=learned)
    assert saltline.metric("saltline_quality_table_bad") == 0
    assert tomllib.loads(saltline.cli("quality", "learn", "s0000", "salinity"))["series"]


def test_what_cannot_be_learned_says_why(engine):
    saltline = engine()
    saltline.station("xuan-hoa")
    for words, code, why in [(["nowhere", "salinity"], 1, "no station"), (["xuan-hoa", "salty"], 1, "no parameter"),
                             (["xuan-hoa", "salinity"], 1, "nothing is learned"), (["xuan-hoa", "salinity", "--from", "today"], 2, "today")]:
        done = subprocess.run([SALTLINE, "quality", "learn", *words, "--config", saltline.config], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (code, "") and why in done.stderr, done.stderr
