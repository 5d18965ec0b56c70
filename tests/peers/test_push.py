"""Stations that push over HTTP, with encoders that none of us wrote: urllib, cbor2, Python's csv and gzip, curl where it is."""

import base64
import csv
import gzip
import io
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
import uuid

import cbor2
import paho.mqtt.client as mqtt
import pytest
from conftest import wait_for
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

NOW = int(time.time()) // 60 * 60


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def post(url, body, key=None, content_type=None, **headers):
    """Status, headers, JSON of the answer."""
    request = urllib.request.Request(url, data=body if isinstance(body, bytes) else body.encode(), method="POST")
    # urllib would say that it is a form.
    request.add_header("Content-Type", content_type or "application/json")
    if key:
        request.add_header("Authorization", key if " " in key else f"Bearer {key}")
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return answer.status, answer.headers, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        text = error.read()
        return error.code, error.headers, json.loads(text) if text else None


@pytest.fixture
def pushing(engine):
    saltline = engine().start()
    saltline.key = saltline.station("xuan-hoa")
    saltline.push = f"{saltline.http}/api/v1/stations/xuan-hoa/readings"
    return saltline


def stored(saltline, parameter, count):
    rows = wait_for(
        f"{count} of {parameter}", lambda: (rows := saltline.readings("xuan-hoa", parameter)) and len(rows) >= count and rows)
    assert len(rows) == count
    return rows


def wide():
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(["time", "salinity (g/L)", "conductivity [uS/cm]", "ph"])
    for n in range(10):
        table.writerow([iso(NOW - 60 * n), 8 + n / 10, 15_200 + n, "" if n == 3 else 7.1])
    return out.getvalue()


CIRCULAR_10 = "".join(
    f"{symbol}\t{value}\t{unit}\t{time.strftime('%Y%m%d%H%M%S', time.gmtime(NOW + 7 * 3600))}\t{status}\r\n"
    for symbol, value, unit, status in [
        ("pH", "7.12", "-", "00"), ("Temp", "28.4", "oC", "00"), ("EC", "15.2", "mS/cm", "00"), ("Sal", "8.85", "g/L", "00"),
        ("DO", "", "mg/L", "02")])


def test_every_format_that_has_a_content_type_comes_in(pushing):
    saltline = pushing
    senml = [
        {-2: "urn:dev:mac:0024befffe804ff1:", -3: NOW - 1000, 0: "salinity", 1: "g/L", 2: 8.85},
        {0: "water_temperature", 1: "K", 2: 301.55},
        {0: "salinity", 6: -60, 1: "g/L", 2: 8.80},
    ]
    bodies = [
        ("application/json", json.dumps({"time": iso(NOW - 2000), "values": {"salinity": 1.0}}), {"salinity": 1}),
        ("application/x-ndjson", "".join(
            json.dumps({"time": NOW - 3000 - n, "values": {"salinity": 1.5}}) + "\n" for n in range(5)), {"salinity": 5}),
        ("application/senml+cbor", cbor2.dumps(senml), {"salinity": 2, "water_temperature": 1}),
        ("application/senml+json; charset=utf-8", json.dumps(
            [{"bn": "probe/", "bt": NOW - 4000, "n": "salinity", "u": "g/L", "v": 3.5}, {"n": "door", "vb": True}]), {"salinity": 1}),
        ("text/csv", wide(), {"salinity": 10, "conductivity": 10, "ph": 10}),
        ("text/tab-separated-values", CIRCULAR_10.replace("Sal\t8.85", "Sal\t8.0"), {"ph": 0, "water_temperature": 1}),
        ("application/vnd.influx.line-protocol", f"water salinity=4.5,ph=7.2 {(NOW - 5000) * 10**9}\n", {"salinity": 1, "ph": 1}),
    ]
    expected = {}
    for content_type, body, brings in bodies:
        status, _, said = post(saltline.push, body, saltline.key, content_type)
        assert (status, list(said)) == (202, ["stored"]), (content_type, said)
        for parameter, count in brings.items():
            expected[parameter] = expected.get(parameter, 0) + count
    for parameter, count in expected.items():
        stored(saltline, parameter, count)
    in_kelvin = [row for row in saltline.readings("xuan-hoa", "water_temperature") if row["time"].startswith(iso(NOW - 1000)[:19])]
    assert in_kelvin[0]["value"] == pytest.approx(28.4)
    assert saltline.readings("xuan-hoa", "conductivity")[0]["value"] == pytest.approx(15.209)


def test_what_is_refused_is_told_by_its_line_and_the_rest_is_kept(pushing):
    saltline = pushing
    body = f"time,salinity,mercury\n{iso(NOW)},8.85,\n{iso(NOW - 60)},x,\n{iso(NOW - 120)}\n{iso(NOW - 180)},8.7,\n"
    status, headers, said = post(saltline.push, body, saltline.key, "text/csv")
    assert status == 422 and headers["Content-Type"] == "application/problem+json"
    assert said["stored"] == 2
    told = [(row["line"], row["reason"]) for row in said["refused"]]
    assert told == [(2, "unknown_parameter"), (3, "not_a_number"), (4, "malformed"), (5, "unknown_parameter")]
    assert len(stored(saltline, "salinity", 2)) == 2
    # What was refused is there with its header, and goes in when the book knows the column.
    letters = json.loads(saltline.cli("deadletter", "list", "-o", "json"))
    assert {letter["topic"] for letter in letters} == {"http/table"} and len(letters) == 4
    slip = json.dumps({"time": iso(NOW), "values": {"conductivity": 15200}})
    status, _, said = post(saltline.push, slip, saltline.key)
    assert status == 422 and "µS/cm" in said["refused"][0]["detail"]


def test_a_push_that_comes_twice_is_answered_twice_and_stored_once(pushing):
    saltline = pushing
    body, key = json.dumps({"values": {"salinity": 8.85}}), str(uuid.uuid4())
    first = post(saltline.push, body, saltline.key, Idempotency_Key=key)
    again = post(saltline.push, body, saltline.key, Idempotency_Key=key)
    assert (first[0], first[2]) == (again[0], again[2]) == (202, {"stored": 1})
    assert again[1]["Idempotency-Replayed"] == "true" and first[1]["Idempotency-Replayed"] is None
    other = post(saltline.push, body.replace("8.85", "9"), saltline.key, Idempotency_Key=key)
    assert other[0] == 422
    stored(saltline, "salinity", 1)


def test_who_may_not_push_and_what_is_too_much(pushing):
    saltline = pushing
    other = saltline.station("vam-giong")
    good = json.dumps({"values": {"salinity": 8.85}})
    assert post(saltline.push, good)[0] == 401
    assert post(saltline.push, good, "nonsense")[0] == 401
    assert post(saltline.push, good, other)[0] == 401
    basic = base64.b64encode(f"vam-giong:{other}".encode()).decode()
    assert post(saltline.push, good, f"Basic {basic}")[0] == 403
    assert post(saltline.push.replace("xuan-hoa", "nowhere"), good, saltline.key)[0] == 401
    assert post(saltline.push, good, saltline.key, "text/html")[0] == 415
    assert post(saltline.push, good, saltline.key, Content_Encoding="br")[0] == 415
    assert post(saltline.push, b"\x1f\x8bnot", saltline.key, Content_Encoding="gzip")[0] == 400
    assert post(saltline.push, b" " * (4 * 1024 * 1024 + 1), saltline.key)[0] == 413
    assert post(saltline.push, gzip.compress(b" " * (64 * 1024 * 1024)), saltline.key, Content_Encoding="gzip")[0] == 413
    assert post(saltline.push, "", saltline.key)[0] == 422
    foreign = f"time,station,parameter,value\n{iso(NOW)},vam-giong,salinity,1\n"
    status, _, said = post(saltline.push, foreign, saltline.key, "text/csv")
    assert (status, said["refused"][0]["reason"]) == (422, "foreign_topic")
    # A station that went mad waits; the next one does not.
    big = json.dumps([{"time": NOW, "values": {"salinity": 1.0}}] * 200) + " " * 4_000_000
    answers = [post(saltline.push, big, saltline.key) for _ in range(4)]
    assert answers[-1][0] == 429 and 1 <= int(answers[-1][1]["Retry-After"]) <= 60, [a[0] for a in answers]
    one = f"{saltline.http}/api/v1/stations/vam-giong/readings"
    assert post(one, gzip.compress(good.encode()), other, Content_Encoding="gzip")[0] == 202


def test_telegraf_and_curl_write_line_protocol(pushing):
    """The requests of Telegraf's outputs.influxdb (v1) and outputs.influxdb_v2, as its documentation shows them."""
    saltline = pushing
    lines = f"water,host=gw,station=xuan-hoa salinity=8.85,ph=7.1 {NOW * 10**9}\nwater,station=xuan-hoa salinity=8.80 {(NOW - 60) * 10**9}\n"
    v2 = f"{saltline.http}/api/v2/write?org=tien-giang&bucket=xuan-hoa&precision=ns"
    packed = gzip.compress(lines.encode())
    assert post(v2, packed, f"Token {saltline.key}", "text/plain; charset=utf-8", Content_Encoding="gzip")[0] == 204
    stored(saltline, "salinity", 2)
    basic = base64.b64encode(f"xuan-hoa:{saltline.key}".encode()).decode()
    second = f"water salinity=8.7 {NOW - 120}\n"
    assert post(f"{saltline.http}/write?db=saltline&precision=s", second, f"Basic {basic}", "text/plain")[0] == 204
    third = f"water salinity=8.6 {(NOW - 180) * 1000}\n"
    url = f"{saltline.http}/write?db=x&precision=ms&u=xuan-hoa&p={saltline.key}"
    if shutil.which("curl"):
        done = subprocess.run(["curl", "-sS", "-o", "-", "-w", "%{http_code}", "--data-binary", third, url], capture_output=True, text=True)
        assert done.stdout == "204", done
    else:
        assert post(url, third, content_type="text/plain")[0] == 204
    stored(saltline, "salinity", 4)
    status, _, said = post(v2, f"water salinity=8.5 {NOW * 10**9}\nwater salinity=soon\nwater,station=b salinity=1\n", f"Token xuan-hoa:{saltline.key}", "text/plain")
    assert (status, said["code"], said["message"]) == (422, "invalid", said["error"])
    assert [(row["line"], row["reason"]) for row in said["refused"]] == [(2, "not_a_number"), (3, "foreign_topic")]
    assert post(v2.replace("precision=ns", "precision=h"), lines, f"Token {saltline.key}")[0] == 400
    assert post(f"{saltline.http}/api/v2/write", lines, f"Token {saltline.key}")[0] == 400


def test_mqtt_5_says_by_its_content_type_what_a_publish_is(pushing):
    saltline = pushing
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="xuan-hoa", protocol=mqtt.MQTTv5)
    client.username_pw_set("xuan-hoa", saltline.key)
    answers = []
    client.on_publish = lambda *words: answers.append(words[3].value)
    client.connect("127.0.0.1", saltline.mqtt)
    client.loop_start()
    wait_for("the connection", client.is_connected)

    def say(content_type, payload):
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = content_type
        before = len(answers)
        client.publish("stations/xuan-hoa/readings", payload, qos=1, properties=properties)
        return wait_for("PUBACK", lambda: answers[before:])[0]

    senml = [{-2: "p:", -3: NOW - 60, 0: "salinity", 1: "g/L", 2: 8.85}]
    assert say("application/senml+cbor", cbor2.dumps(senml)) == 0
    assert say("text/csv", wide()) == 0
    assert say("application/senml+cbor", b"\xff") == 0x99
    assert say("application/x-our-own", json.dumps({"time": NOW - 7_000, "values": {"salinity": 1.0}})) == 0
    client.loop_stop()
    client.disconnect()
    # The CSV's second row is of the pack's time: a correction of it.
    stored(saltline, "salinity", 11)


def test_a_push_is_on_disk_when_it_is_answered(pushing):
    """`kill -9` right behind the answer, ten times."""
    saltline = pushing
    for n in range(10):
        at = iso(NOW - 60 * n)
        status, _, _ = post(saltline.push, json.dumps({"time": at, "values": {"salinity": 1.0 + n}}), saltline.key)
        saltline.kill()
        assert status == 202
        saltline.start()
        saltline.push = f"{saltline.http}/api/v1/stations/xuan-hoa/readings"
    stored(saltline, "salinity", 10)


def test_what_was_known_then_how_long_above_a_limit_and_rain_by_the_day_of_vietnam(pushing):
    """A technician corrects a value; the report of yesterday can still be made as it was, also after a restart."""
    day = NOW // 86_400 * 86_400 - 2 * 86_400  # Midnight of Greenwich, 07:00 in Vietnam.
    at = lambda hours: iso(day + int(hours * 3_600))
    report = lambda hours, **values: {"time": at(hours), "values": values}
    salty = [report(hours / 4, salinity=5 if 4 <= hours < 12 else 3, rainfall=0.5) for hours in range(96)]
    assert post(pushing.push, json.dumps(salty), pushing.key)[0] == 202
    stored(pushing, "salinity", 96)
    time.sleep(1.1)
    between = iso(time.time())
    time.sleep(1.1)
    assert post(pushing.push, json.dumps([report(1, salinity=3)]), pushing.key)[0] == 202
    one = f"/api/v1/stations/xuan-hoa/readings?parameter=salinity&from={at(1)}&to={at(1.1)}"
    said = lambda: [row["value"] for row in pushing.get(one)["readings"]]
    for _ in range(2):
        # After a start the engine serves while history still follows the journal, and says how far behind it is.
        wait_for("the correction", lambda: said() == [3])
        wait_for("history", lambda: pushing.behind("history") == 0)
        assert pushing.get(f"{one}&as_of={between}")["readings"][0]["value"] == 5
        assert pushing.get(one)["readings"][0]["value"] == 3
        spells = f"/api/v1/stations/xuan-hoa/spells?parameter=salinity&above=4&from={at(0)}&to={at(24)}&every=1d"
        known, = pushing.get(f"{spells}&as_of={between}")["intervals"]
        # From 3 to 5 within a quarter of an hour: half of it is above 4, at each end.
        assert (known["beyond_s"], known["known_s"], known["spells"], known["longest_s"]) == (7_200, 23.75 * 3_600, 1, 7_200)
        now, = pushing.get(spells)["intervals"]
        # 01:00 fell to 3: the spell begins between 01:00 and 01:15.
        assert (now["beyond_s"], now["spells"]) == (6_300, 1)
        rain = pushing.get(f"/api/v1/stations/xuan-hoa/readings?parameter=rainfall&from={at(0)}&to={at(24)}&every=day")["readings"]
        # 17 hours until midnight in Vietnam, 7 after it.
        assert [(row["time"][11:16], row["total"], row["count"]) for row in rain] == [("17:00", 34, 68), ("17:00", 14, 28)]
        table = pushing.text(f"/api/v1/stations/xuan-hoa/readings?from={at(0)}&to={at(24)}&every=day&format=csv")[1]
        days = list(csv.DictReader(io.StringIO(table.removeprefix("\ufeff"))))
        # A total of rain and of nothing else, and each number below its own heading.
        assert [(day["rainfall total (mm)"], day["rainfall count"], day["salinity count"], day["salinity max (g/L)"]) for day in days] == [
            ("34", "68", "68", "5"), ("14", "28", "28", "3")]
        assert "salinity total (g/L)" not in days[0]
        pushing.kill()
        pushing.start()
