"""Other people's words: ThingsBoard at our door, ChirpStack and Sparkplug B through somebody else's broker, the last
with payloads of an encoder that none of us wrote."""

import base64
import json
import pathlib
import subprocess
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from conftest import wait_for
from test_mqtt import Client
from test_upstream import START_MS, Sender, connected, mosquitto, upstream  # noqa: F401

EUI = "24e124136b502217"
STATIONS = f"""
[[station]]
code = "xuan-hoa"
name = "Xuân Hòa"
interval = "5m"
known_as = ["{EUI.upper()}", "Tiền Giang/edge/pier"]
[[station.field]]
name = "EC"
parameter = "conductivity"
scale = 0.001
[[station.field]]
name = "Water/Salinity"
parameter = "salinity"

[[station]]
code = "my-tho"
name = "Mỹ Tho"
interval = "5m"
"""


def rows(saltline, station, parameter):
    return {row["time"]: row["value"] for row in saltline.readings(station, parameter)}


def iso(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms / 1000)) + f".{ms % 1000:03}Z"


@pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_a_thingsboard_device_reports_at_our_door_as_it_does_at_home(engine, version):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    client = Client(saltline, "xuan-hoa", key, version)
    topic = "v1/devices/me/telemetry"
    now = int(time.time() * 1000) // 1000 * 1000
    client.publish(topic, {"ts": now - 2000, "values": {"salinity": 8.85, "ph": "7.1", "pump": True}})
    client.publish(topic, [{"ts": now - 1000, "values": {"salinity": 8.9}}, {"ts": now, "values": {"salinity": 9.1}}])
    client.publish(topic, {"battery": 12.5})
    expected = {iso(now - 2000): 8.85, iso(now - 1000): 8.9, iso(now): 9.1}
    wait_for("the readings", lambda: rows(saltline, "xuan-hoa", "salinity") == expected)
    assert list(rows(saltline, "xuan-hoa", "ph").values()) == [7.1]
    assert list(rows(saltline, "xuan-hoa", "battery").values()) == [12.5]
    client.publish(topic, {"ts": "yesterday", "values": {"ph": 7}})
    assert 'refused_total{reason="bad_time"} 1' in saltline.text("/metrics")[1]
    assert saltline.metric("saltline_fields_skipped_total") == 1
    client.close()
    assert saltline.stop() == 0


def uplink(eui, at, values, **more):
    """As ChirpStack 4 documents it; the codec's result stands in `object`."""
    return {
        "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d", "time": iso(at).replace("Z", "123456+00:00"),
        "deviceInfo": {"tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242", "tenantName": "ChirpStack",
                       "applicationId": "17c82e96-be03-4f38-aef3-f83d48582d97", "applicationName": "Test",
                       "deviceProfileName": "Test", "deviceName": "Test", "devEui": eui, "tags": {"key": "value"}},
        "devAddr": "00189440", "adr": True, "dr": 1, "fCnt": 4, "fPort": 1, "confirmed": False, "data": "qg==",
        "object": values,
        "rxInfo": [{"gatewayId": "0016c001f153a14c", "uplinkId": 4217106255, "rssi": -36, "snr": 10.5}],
        "txInfo": {"frequency": 867100000, "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 11}}},
        **more,
    }


def test_chirpstacks_devices_are_the_stations_that_the_book_knows_by_their_eui(engine, mosquitto):  # noqa: F811
    broker = mosquitto()
    saltline = upstream(engine(), broker, format="chirpstack", topics=["application/+/device/{station}/event/up"])
    saltline.pack(stations__toml=STATIONS)
    connected(saltline.start())
    sender = Sender(broker)
    topic = lambda eui: f"application/17c82e96/device/{eui}/event/up"
    sender.publish(topic(EUI), uplink(EUI, START_MS + 7000, {"EC": 14250, "salinity": 8.9, "state": "ok"}))
    sender.publish(topic(EUI), {**uplink(EUI, START_MS, {}), "time": iso(START_MS)})
    now = int(time.time() * 1000)
    sender.publish(topic(EUI), uplink(EUI, now, {"EC": 14250, "probe": {"depth": 1}, "salinity": 8.9}))
    sender.publish(topic("0000000000000000"), uplink("0000000000000000", now, {"salinity": 1}))
    sender.publish(topic(EUI), uplink("0000000000000000", now, {"salinity": 1}))
    sender.publish(topic(EUI).replace("event/up", "event/join"), {"anything": 1})
    wait_for("the acknowledgements", lambda: saltline.metric("saltline_upstream_acknowledged_total") == 5)
    wait_for("the readings", lambda: len(rows(saltline, "xuan-hoa", "conductivity")) == 2)
    assert rows(saltline, "xuan-hoa", "conductivity") == {iso(START_MS + 7000): 14.25, iso(now): 14.25}
    assert rows(saltline, "xuan-hoa", "salinity") == {iso(START_MS + 7000): 8.9, iso(now): 8.9}
    text = saltline.text("/metrics")[1]
    for reason in ("unknown_parameter", "unknown_station", "foreign_topic", "bad_count"):
        assert f'saltline_packets_refused_total{{reason="{reason}"}} 1\n' in text, reason
    sender.close()
    assert saltline.stop() == 0


class Edge:
    """A Sparkplug edge node: paho for the wire, npm's `sparkplug-payload` for the bytes."""

    def __init__(self, broker):
        self.coder = subprocess.Popen(
            ["node", "sparkplug.mjs"], cwd=pathlib.Path(__file__).parent, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.seq, self.commands = 0, []
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="edge")
        self.paho.on_message = lambda c, u, m: self.commands.append(m.payload)
        self.paho.connect("127.0.0.1", broker.port)
        self.paho.subscribe("spBv1.0/Tiền Giang/NCMD/edge", qos=1)
        self.paho.loop_start()

    def ask(self, **question):
        self.coder.stdin.write(json.dumps(question) + "\n")
        self.coder.stdin.flush()
        return json.loads(self.coder.stdout.readline())

    def say(self, kind, metrics, device=None, at=None):
        self.seq = 0 if kind == "NBIRTH" else (self.seq + 1) % 256
        at = at or int(time.time() * 1000)
        payload = {"timestamp": at, "seq": self.seq, "metrics": [{"timestamp": at, **metric} for metric in metrics]}
        told = base64.b64decode(self.ask(encode=payload)["bytes"])
        topic = "/".join(filter(None, ["spBv1.0", "Tiền Giang", kind, "edge", device]))
        self.paho.publish(topic, told, qos=1).wait_for_publish(10)

    def births(self):
        self.say("NBIRTH", [
            {"name": "bdSeq", "type": "UInt64", "value": 0},
            {"name": "Node Control/Rebirth", "type": "Boolean", "value": False},
            {"name": "Properties/Hardware Make", "type": "String", "value": "somebody"}])
        self.say("DBIRTH", [
            {"name": "Water/Salinity", "alias": 1, "type": "Float", "value": 8.85},
            {"name": "water_temperature", "alias": 2, "type": "Int16", "value": -3},
            {"name": "ph", "alias": 3, "type": "Double", "value": 7.1},
            {"name": "EC", "alias": 4, "type": "Int32", "value": 14250},
            {"name": "door", "alias": 5, "type": "Boolean", "value": True}], device="pier")

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()
        self.coder.stdin.close()
        self.coder.wait(10)


def test_a_sparkplug_node_is_understood_by_what_it_said_at_its_birth(engine, mosquitto):  # noqa: F811
    broker = mosquitto()
    saltline = upstream(engine(), broker, format="sparkplug", topics=["spBv1.0/#"])
    saltline.pack(stations__toml=STATIONS)
    connected(saltline.start())
    edge = Edge(broker)
    count = lambda: saltline.metric("saltline_upstream_acknowledged_total")
    # We were not there when it was born: it is asked to be born again.
    edge.say("DDATA", [{"alias": 1, "type": "Float", "value": 8.0}], device="pier")
    command = wait_for("the command", lambda: edge.commands)[0]
    asked = edge.ask(decode=base64.b64encode(command).decode())["payload"]["metrics"]
    assert [(metric["name"], metric["value"]) for metric in asked] == [("Node Control/Rebirth", True)]
    wait_for("the refusal", lambda: 'refused_total{reason="no_birth"} 1' in saltline.text("/metrics")[1])
    edge.births()
    wait_for("the birth's values", lambda: list(rows(saltline, "xuan-hoa", "salinity").values()) == [8.85])
    assert list(rows(saltline, "xuan-hoa", "water_temperature").values()) == [-3]
    assert list(rows(saltline, "xuan-hoa", "conductivity").values()) == [14.25]
    now = int(time.time() * 1000)
    edge.say("DDATA", [
        {"alias": 1, "type": "Float", "value": 9.25, "timestamp": now},
        {"alias": 1, "type": "Float", "value": 7.75, "timestamp": now - 3_600_000, "isHistorical": True}], device="pier")
    wait_for("both", lambda: len(rows(saltline, "xuan-hoa", "salinity")) == 3)
    assert rows(saltline, "xuan-hoa", "salinity")[iso(now)] == 9.25
    assert rows(saltline, "xuan-hoa", "salinity")[iso(now - 3_600_000)] == 7.75
    # A gap in the sequence is counted; what came is taken.
    edge.seq += 3
    edge.say("DDATA", [{"alias": 3, "type": "Double", "value": 7.2, "timestamp": now}], device="pier")
    wait_for("the reading after the gap", lambda: rows(saltline, "xuan-hoa", "ph").get(iso(now)) == 7.2)
    assert saltline.metric("saltline_sparkplug_gaps_total") == 1
    before = count()
    edge.say("DDEATH", [], device="pier")
    edge.say("DDATA", [{"alias": 3, "type": "Double", "value": 1.0, "timestamp": now + 1}], device="pier")
    wait_for("both", lambda: count() == before + 2)
    assert iso(now + 1) not in rows(saltline, "xuan-hoa", "ph")
    assert saltline.metric("saltline_readings_unaccounted") == 0
    edge.close()
    assert saltline.stop() == 0


def test_a_python_edge_node_is_understood_at_our_own_door(engine):
    """`pysparkplug` of PyPI makes the bytes, of every type that a sensor may have."""
    import pysparkplug as sparkplug
    from pysparkplug import DataType, Metric

    saltline = engine()
    saltline.pack(stations__toml=STATIONS.replace("Tiền Giang/edge/pier", "tg/edge/pier"))
    made = json.loads(saltline.cli("token", "add", "edge", "--grant", "write:spBv1.0/tg/+/edge/#", "-o", "json"))
    saltline.start()
    edge = Client(saltline, "edge", made["token"])
    now = int(time.time() * 1000)
    metric = lambda name, kind, value, at=now, **more: Metric(timestamp=at, name=name, datatype=kind, value=value, **more)
    birth = sparkplug.NBirth(timestamp=now, seq=0, metrics=(metric("bdSeq", DataType.INT64, 0),))
    edge.publish("spBv1.0/tg/NBIRTH/edge", birth.encode())
    device = sparkplug.DBirth(timestamp=now, seq=1, metrics=(
        metric("Water/Salinity", DataType.FLOAT, 8.85, alias=1), metric("ph", DataType.DOUBLE, 7.1, alias=2),
        metric("water_temperature", DataType.INT16, -3, alias=3), metric("battery", DataType.UINT32, 12, alias=4),
        metric("signal", DataType.INT32, -87, alias=5), metric("turbidity", DataType.UINT64, 40, alias=6),
        metric("EC", DataType.INT32, 14250, alias=7), metric("door", DataType.BOOLEAN, True, alias=8),
        metric("make", DataType.STRING, "somebody", alias=9)))
    edge.publish("spBv1.0/tg/DBIRTH/edge/pier", device.encode())
    newest = lambda parameter: list(rows(saltline, "xuan-hoa", parameter).values())
    wait_for("the birth", lambda: newest("salinity") == [8.85])
    for parameter, value in [("ph", 7.1), ("water_temperature", -3), ("battery", 12), ("signal", -87), ("turbidity", 40), ("conductivity", 14.25)]:
        assert newest(parameter) == [value], parameter
    data = sparkplug.DData(timestamp=now + 1000, seq=2, metrics=(
        metric("Water/Salinity", DataType.FLOAT, 9.25, now + 1000), metric("ph", DataType.DOUBLE, None, now + 1000, is_null=True),
        metric("Water/Salinity", DataType.FLOAT, 7.75, now - 3_600_000, is_historical=True)))
    edge.publish("spBv1.0/tg/DDATA/edge/pier", data.encode())
    wait_for("the data", lambda: rows(saltline, "xuan-hoa", "salinity") == {iso(now - 3_600_000): 7.75, iso(now): 8.85, iso(now + 1000): 9.25})
    assert rows(saltline, "xuan-hoa", "ph") == {iso(now): 7.1, iso(now + 1000): None}
    assert saltline.metric("saltline_packets_refused_total") == 0 and saltline.metric("saltline_sparkplug_gaps_total") == 0
    edge.close()
