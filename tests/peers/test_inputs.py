"""A station's profile says what its payloads are: CSV, SenML and bare bytes with MQTT 3.1.1, which knows no content types;
pushes of programs that do not say what they send; uplinks without a codec."""

import base64
import json
import struct
import time

import cbor2
import paho.mqtt.client as mqtt
from conftest import wait_for
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from test_formats import EUI, iso, uplink
from test_mqtt import Client
from test_push import post
from test_upstream import Sender, connected, mosquitto  # noqa: F401
from test_upstream import upstream as with_upstream

NOW = int(time.time()) // 60 * 60
LOCAL = "%Y-%m-%d %H:%M:%S"


def station(code, *lines, layout=()):
    fields = "".join("[[station.layout]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in it.items()) for it in layout)
    head = f'[[station]]\ncode = "{code}"\nname = "{code}"\ninterval = "5m"\n'
    return head + "".join(f"{line}\n" for line in lines) + fields


# Dragino's DDS75-LB, as its user manual has it; it hangs 3.2 m above the datum.
DDS75 = [
    {"parameter": "battery", "port": 2, "at": 0, "type": "u16", "unit": "mV"},
    {"parameter": "water_level", "port": 2, "at": 2, "type": "u16", "scale": -0.001, "offset": 3.2, "absent": [0, 20]},
    {"parameter": "air_temperature", "port": 2, "at": 5, "type": "i16", "scale": 0.1},
]
# An example of our own.
MODEM = [
    {"parameter": "salinity", "at": 0, "type": "f32", "order": "DCBA", "absent": ["nan"]},
    {"parameter": "ph", "at": 4, "type": "u8", "scale": 0.1},
]


def values(saltline, code, parameter):
    return [row["value"] for row in saltline.readings(code, parameter)]


def letters(saltline):
    rows = json.loads(saltline.cli("deadletter", "list", "-o", "json"))
    return sorted((row["station"], row["reason"], row["topic"]) for row in rows)


def test_stations_with_mqtt_3_send_what_their_profiles_say(engine):
    saltline = engine()
    saltline.pack(stations__toml="\n".join([
        station("csv", 'format = "table"', 'utc_offset = "+07:00"'),
        station("senml", 'format = "senml-json"'), station("cbor", 'format = "senml-cbor"'),
        station("modem", 'format = "bytes"', layout=MODEM), station("plain")]))
    keys = {code: json.loads(saltline.cli("station", "rotate-key", code, "-o", "json"))["key"]
            for code in ("csv", "senml", "cbor", "modem", "plain")}
    saltline.start()
    say = {}
    for code, key in keys.items():
        say[code] = Client(saltline, code, key)
        say[code].own = f"stations/{code}/readings"
    rows = "".join(f"{time.strftime(LOCAL, time.gmtime(NOW + 7 * 3600 - 60 * n))},{8 + n / 10}\n" for n in range(5))
    say["csv"].publish(say["csv"].own, "time,salinity (g/L)\n" + rows)
    say["senml"].publish(say["senml"].own, [{"bn": "urn:dev:x:", "bt": NOW, "n": "salinity", "u": "mg/L", "v": 8850}])
    say["cbor"].publish(say["cbor"].own, cbor2.dumps([{-3: NOW, 0: "salinity", 2: 7.5}]))
    say["modem"].publish(say["modem"].own, struct.pack("<fB", 6.25, 71))
    say["modem"].publish(say["modem"].own, struct.pack("<fB", float("nan"), 72))
    say["plain"].publish(say["plain"].own, {"values": {"salinity": 5.5}})
    wait_for("the table", lambda: sorted(values(saltline, "csv", "salinity")) == [8, 8.1, 8.2, 8.3, 8.4])
    assert {row["time"] for row in saltline.readings("csv", "salinity")} == {iso((NOW - 60 * n) * 1000) for n in range(5)}
    for code, wanted in (("senml", [8.85]), ("cbor", [7.5]), ("plain", [5.5])):
        wait_for(code, lambda: values(saltline, code, "salinity") == wanted)
    wait_for("the bytes", lambda: len(values(saltline, "modem", "ph")) == 2)
    assert [value for value in values(saltline, "modem", "salinity") if value is not None] == [6.25]

    # What the profile does not mean is refused, kept, and goes in when it is mended, on the connection that stands.
    say["plain"].publish(say["plain"].own, f"time,ph\n{iso(NOW * 1000)},6.5\n")
    say["modem"].publish(say["modem"].own, struct.pack("<f", 6.5))
    say["senml"].publish(say["senml"].own, {"values": {"salinity": 1}})
    wait_for("the letters", lambda: letters(saltline) == [
        ("modem", "malformed", "stations/modem/readings"), ("plain", "malformed", "stations/plain/readings"),
        ("senml", "malformed", "stations/senml/readings")])
    saltline.pack(stations__toml=station("plain", 'format = "table"') + station("modem", 'format = "bytes"', layout=MODEM[:1]))
    replayed = json.loads(saltline.cli("deadletter", "replay", "--station", "plain", "-o", "json"))
    assert [row["outcome"] for row in replayed] == ["replayed"], replayed
    saltline.cli("deadletter", "replay", "--station", "modem")
    wait_for("the mended", lambda: values(saltline, "plain", "ph") == [6.5] and 6.5 in values(saltline, "modem", "salinity"))
    later = f"time,ph\n{iso(NOW * 1000 - 60_000)},6.6\n"
    wait_for("the profile holds", lambda: say["plain"].publish(say["plain"].own, later) and 6.6 in values(saltline, "plain", "ph"))
    for client in say.values():
        client.close()
    assert saltline.stop() == 0


def test_a_content_type_wins_over_the_profile(engine, tmp_path):
    saltline = engine()
    (tmp_path / "layout.toml").write_text('[[layout]]\nparameter = "ph"\nat = 0\ntype = "u8"\nscale = 0.1\n')
    key = saltline.station("bare", "--format", "bytes", "--layout", str(tmp_path / "layout.toml"))
    plain = saltline.station("plain")
    shown = json.loads(saltline.cli("station", "show", "bare", "-o", "json"))
    assert (shown["format"], shown["layout_fields"]) == ("bytes", 1)
    saltline.cli("station", "add", "x", "--format", "csv", code=2)
    (tmp_path / "layout.toml").write_text('[[layout]]\nparameter = "phh"\nat = 254\ntype = "u16"\n')
    saltline.cli("station", "add", "x", "--layout", str(tmp_path / "layout.toml"), code=1)
    saltline.start()
    url = f"{saltline.http}/api/v1/stations/bare/readings"
    for kind in ("application/octet-stream", "application/x-www-form-urlencoded", "text/plain; charset=utf-8"):
        assert post(url, b"\x47", key, kind)[::2] == (202, {"stored": 1}), kind
    assert post(url, json.dumps({"time": NOW, "values": {"salinity": 4}}), key, "application/json")[0] == 202
    assert post(url, f"time,salinity\n{iso(NOW * 1000 - 60_000)},5\n", key, "text/csv")[0] == 202
    assert post(url, b"\x47", key, "image/png")[0] == 415
    status, _, said = post(url, b"", key, "application/octet-stream")
    assert (status, said["refused"][0]["reason"]) == (422, "malformed")
    assert post(url.replace("bare", "plain"), b"\x47", plain, "application/octet-stream")[0] == 415
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="bare", protocol=mqtt.MQTTv5)
    client.username_pw_set("bare", key)
    answers = []
    client.on_publish = lambda *words: answers.append(words[3].value)
    client.connect("127.0.0.1", saltline.mqtt)
    client.loop_start()
    wait_for("the connection", client.is_connected)
    telling = Properties(PacketTypes.PUBLISH)
    telling.ContentType = "application/json"
    for body, properties in ((json.dumps({"time": NOW - 120, "values": {"salinity": 6}}), telling), (b"\x48", None), (b"\x48", telling)):
        client.publish("stations/bare/readings", body, qos=1, properties=properties)
    wait_for("the answers", lambda: len(answers) == 3)
    assert answers[:2] == [0, 0] and answers[2] >= 0x80, answers
    client.disconnect()
    client.loop_stop()
    wait_for("the reports", lambda: sorted(values(saltline, "bare", "salinity")) == [4, 5, 6])
    # The last of them is a record of its own, which may be in history a moment later.
    wait_for("the bytes", lambda: sorted(round(value, 3) for value in values(saltline, "bare", "ph")) == [7.1, 7.1, 7.1, 7.2])
    assert letters(saltline) == [("bare", "malformed", "mqtt/json"), ("bare", "malformed", "stations/bare/readings")]
    assert saltline.stop() == 0


def bare(at, data, **more):
    """An uplink of a device without a codec."""
    said = uplink(EUI, at, {}, data=base64.b64encode(data).decode(), **more)
    del said["object"]
    return said


def test_an_uplink_without_a_codec_is_read_by_the_layout_of_its_station(engine, mosquitto):  # noqa: F811
    broker = mosquitto()
    saltline = with_upstream(engine(), broker, format="chirpstack", topics=["application/+/device/{station}/event/up"])
    saltline.pack(stations__toml=station("xuan-hoa", f'known_as = ["{EUI}"]'))
    connected(saltline.start())
    sender, topic = Sender(broker), f"application/17c82e96/device/{EUI}/event/up"
    payload = struct.pack(">HHBhB", 3300, 2200, 0, 287, 1)
    sender.publish(topic, bare(NOW * 1000, payload, fPort=2))
    wait_for("no layout", lambda: letters(saltline) == [("xuan-hoa", "no_layout", topic)])
    saltline.pack(stations__toml=station("xuan-hoa", f'known_as = ["{EUI}"]', layout=DDS75))
    assert json.loads(saltline.cli("deadletter", "replay", "--all", "-o", "json"))[0]["outcome"] == "replayed"
    wait_for("the level", lambda: values(saltline, "xuan-hoa", "water_level") == [1.0])
    at = saltline.readings("xuan-hoa", "water_level")[0]["time"]
    assert at.startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOW))), at
    assert values(saltline, "xuan-hoa", "battery") == [3.3]
    sender.publish(topic, bare(NOW * 1000 + 1000, payload, fPort=5))
    sender.publish(topic, bare(NOW * 1000 + 2000, payload[:6], fPort=2))
    sender.publish(topic, {**bare(NOW * 1000 + 3000, b"", fPort=2), "data": "?"})
    sender.publish(topic, bare(NOW * 1000 + 4000, struct.pack(">HHBhB", 3290, 20, 0, -1, 1), fPort=2))
    sender.publish(topic, uplink(EUI, NOW * 1000 + 5000, {"water_level": 1.5}, fPort=2))
    wait_for("the readings", lambda: 1.5 in values(saltline, "xuan-hoa", "water_level"))
    assert [round(value, 3) for value in values(saltline, "xuan-hoa", "air_temperature")] == [28.7, -0.1]
    reasons = sorted(reason for _, reason, _ in letters(saltline))
    assert reasons.count("malformed") == 2 and reasons.count("no_layout") >= 1, reasons
    sender.close()
    assert saltline.stop() == 0
