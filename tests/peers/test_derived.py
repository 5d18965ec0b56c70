"""What nobody measures, made of what is: beside TEOS-10's own program, `gsw`."""

import json
import math
import subprocess

import gsw

from conftest import SALTLINE, wait_for
from test_clocks import push

START = 1_773_273_600


def run(saltline, *words):
    return subprocess.run([SALTLINE, *words, "--config", saltline.config], text=True, capture_output=True, timeout=60)


def rows(count):
    return [{"time": START + 900 * n, "replay": True, "values": {
        "conductivity": round(0.2 + 30 * (1 - math.cos(n / 7)) / 2, 3), "water_temperature": round(27 + math.sin(n / 31), 2)}}
        for n in range(count)]


def send(saltline, rows):
    for n in range(0, len(rows), 100):
        assert push(saltline, "vam-giong", saltline.key, json.dumps(rows[n:n + 100]))[0] == 202


def test_salinity_is_what_gsw_makes_of_the_same_readings_through_a_kill(engine):
    saltline = engine(history={"tail_readings_max": 200, "tail_age_max": "1s"})
    saltline.key = saltline.station("vam-giong", "--derive", "conductivity_25=conductivity-25", "--derive", "salinity=salinity:pss-78")
    saltline.start()
    sent = rows(700)
    send(saltline, sent[:400])
    saltline.kill()
    saltline.start()
    send(saltline, sent[400:])
    wait_for("all of them", lambda: len(saltline.readings("vam-giong", "salinity")) == len(sent))
    practical = lambda values: gsw.SP_from_C(values["conductivity"], values["water_temperature"], 0)
    for name, of in [("salinity", practical), ("conductivity_25", lambda values: gsw.C_from_SP(practical(values), 25, 0))]:
        found = saltline.readings("vam-giong", name)
        for row, one in zip(found, sent, strict=True):
            right = of(one["values"])
            assert math.isclose(row["value"], right, rel_tol=1e-9), (name, row, right)
    page = saltline.get("/api/v1/stations/vam-giong/readings?parameter=salinity&from=2026-03-12T00:00:00Z")
    assert page["derived"]["method"] == "salinity:pss-78" and page["derived"]["inputs"] == ["conductivity", "water_temperature"]
    assert "derived" not in saltline.get("/api/v1/stations/vam-giong/readings?parameter=conductivity&from=2026-03-12T00:00:00Z")
    status, text = saltline.text("/s/vam-giong?lang=en")
    assert status == 200 and "PSS-78" in text
    # What is exported beside the engine has it too, sealed or not, and the store is still what its journal says.
    out = saltline.folder / "all.csv"
    saltline.cli("export", "--station", "vam-giong", "--parameter", "salinity", "-O", str(out))
    assert len(out.read_text().splitlines()) == len(sent) + 1
    saltline.stop()
    saltline.cli("store", "verify")


def test_what_its_inputs_are_not_trusted_for_is_not_trusted(engine):
    saltline = engine(history={"tail_readings_max": 200, "tail_age_max": "1s"})
    saltline.key = saltline.station("vam-giong", "--derive", "salinity=salinity:pss-78")
    saltline.start()
    at = START
    said = [({"conductivity": 10, "water_temperature": 28}, 1), ({"conductivity": 10, "water_temperature": 38}, 3),
            ({"conductivity": 10, "water_temperature": 60}, None), ({"conductivity": 10}, None),
            ({"conductivity": 10, "water_temperature": 28, "salinity": 4.5}, 1)]
    send(saltline, [{"time": at + 900 * n, "replay": True, "values": values} for n, (values, _) in enumerate(said)])
    wait_for("the last", lambda: any(row["value"] == 4.5 for row in saltline.readings("vam-giong", "salinity")))
    found = {row["time"]: row for row in saltline.readings("vam-giong", "salinity")}
    flags = [found.get(row["time"], {}).get("flag") for row in saltline.readings("vam-giong", "conductivity")]
    # Water of 60 °C is out of the sensor's range: what is made of it is bad, or is not made.
    assert flags[:2] == [1, 3] and flags[2] in (None, 4) and flags[3] is None and flags[4] == 1, flags


def test_what_cannot_be_meant_is_refused_in_words(engine):
    saltline = engine()
    for word, part in [("salinity", "PARAMETER=METHOD"), ("salinity=salinity:pss-79", "pss-79"), ("salinity=magic", "derives nothing"),
                       ("nothing-known=density", "nothing-known"), ("conductivity=density", "itself")]:
        done = run(saltline, "station", "add", "x1", "--derive", word)
        assert done.returncode != 0 and part in done.stderr, (word, done.stderr)
    saltline.station("x1", "--derive", "conductivity_25=conductivity-25", "--derive", "salinity=salinity-25:pss-78")
    done = run(saltline, "station", "derive", "x1", "salinity=salinity-25:pss-78", "conductivity_25=conductivity-25")
    assert done.returncode != 0 and "made after it" in done.stderr, done.stderr
    assert json.loads(saltline.cli("station", "derive", "x1", "-o", "json"))["derived"] == ""


def test_a_correction_of_an_input_is_followed_by_what_is_made_of_it(engine):
    saltline = engine(history={"tail_readings_max": 200, "tail_age_max": "1s"})
    saltline.key = saltline.station("vam-giong", "--derive", "salinity=salinity:pss-78")
    saltline.start()
    sent = rows(192)
    send(saltline, sent)
    wait_for("all of them", lambda: len(saltline.readings("vam-giong", "salinity")) == len(sent))
    raw = saltline.readings("vam-giong", "salinity")
    at = lambda n: raw[n]["time"]
    saltline.cli("edit", "add", "vam-giong", "conductivity", "--from", at(10), "--to", at(20), "--offset", "0.5", "--reason", "fouled")
    saltline.cli("edit", "add", "vam-giong", "conductivity", "--from", at(180), "--to", "2027-01-01T00:00:00Z", "--remove", "--reason", "buried")

    def right(n):
        values = sent[n]["values"]
        return gsw.SP_from_C(values["conductivity"] + (0.5 if 10 <= n < 20 else 0), values["water_temperature"], 0)

    wait_for("the correction", lambda: saltline.readings("vam-giong", "salinity")[10].get("layer") == "corrected")
    found = saltline.readings("vam-giong", "salinity")
    for n, row in enumerate(found):
        layer = "corrected" if 10 <= n < 20 or 180 <= n else None
        assert row.get("layer") == layer and row["time"] == at(n)
        if n < 180:
            assert math.isclose(row["value"], right(n), rel_tol=1e-9), (n, row)
        else:
            assert (row["value"], row["flag"]) == (None, 9)
    span = f"from={at(0)}&to=2027-01-01T00:00:00Z"
    again = saltline.get(f"/api/v1/stations/vam-giong/readings?parameter=salinity&{span}&layer=raw")["readings"]
    assert [row["value"] for row in again] == [row["value"] for row in raw]
    # Days, the newest value and hours above a limit go by it as well.
    month = saltline.get(f"/api/v1/stations/vam-giong/readings?parameter=salinity&{span}&every=month")["readings"][0]
    values = [right(n) for n in range(180)]
    assert month["count"] == 180 and math.isclose(month["mean"], sum(values) / 180, rel_tol=1e-9)
    latest = {row["parameter"]: row for row in saltline.get("/api/v1/latest")}
    assert math.isclose(latest["salinity"]["value"], right(179), rel_tol=1e-9)
    # An edit of salinity itself stands above it.
    saltline.cli("edit", "add", "vam-giong", "salinity", "--from", at(12), "--to", at(13), "--offset", "1", "--reason", "by hand")
    wait_for("it", lambda: math.isclose(saltline.readings("vam-giong", "salinity")[12]["value"], raw[12]["value"] + 1, rel_tol=1e-9))
    saltline.cli("edit", "withdraw", "1", "--reason", "a mistake")
    wait_for("it is as before", lambda: saltline.readings("vam-giong", "salinity")[10]["value"] == raw[10]["value"])
