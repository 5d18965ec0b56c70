"""MQTT clients that none of us wrote: paho and mosquitto, 3.1.1 and 5, plain and TLS."""

import datetime
import ipaddress
import json
import subprocess
import threading
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from conftest import wait_for

REPORT = {"values": {"salinity": 8.85, "water_level": 1.12, "ph": 7.1}}


class Client:
    """A paho client that remembers what it was told."""

    def __init__(self, engine, user, key, version=mqtt.MQTTv311, client_id=None, will=None, tls=None):
        self.acked, self.connected, self.messages, self.gone = {}, [], [], []
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id or user, protocol=version)
        self.paho.username_pw_set(user, key)
        if will:
            self.paho.will_set(*will)
        if tls:
            self.paho.tls_set(ca_certs=tls)
        self.paho.on_connect = lambda c, u, f, reason, p: self.connected.append(reason)
        self.paho.on_disconnect = lambda c, u, f, reason, p: self.gone.append(reason)
        self.paho.on_publish = lambda c, u, mid, reason, p: self.acked.__setitem__(mid, (reason, p))
        self.paho.on_message = lambda c, u, m: self.messages.append((m.topic, m.payload, m.retain))
        self.paho.connect("127.0.0.1", engine.mqtts if tls else engine.mqtt)
        self.paho.loop_start()
        wait_for("an answer to CONNECT", lambda: self.connected)

    def publish(self, topic, payload, qos=1, retain=False):
        payload = payload if isinstance(payload, (str, bytes)) else json.dumps(payload)
        info = self.paho.publish(topic, payload, qos=qos, retain=retain)
        return wait_for(f"PUBACK of {topic}", lambda: self.acked.get(info.mid))

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()


@pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_an_acknowledged_report_can_be_queried_within_a_second(engine, version):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    client = Client(saltline, "xuan-hoa", key, version)
    for n in range(20):
        client.publish("stations/xuan-hoa/readings", {"seq": n, **REPORT})
        acked = time.monotonic()
        rows = wait_for("the reading", lambda: [r for r in saltline.get("/api/v1/latest") if r["parameter"] == "ph"])
        assert time.monotonic() - acked < 1.0
        assert rows[0]["value"] == 7.1
    client.close()
    assert saltline.metric("saltline_readings_received_total") == 60
    assert saltline.stop() == 0


def test_mosquitto_publishes_over_both_versions(engine):
    saltline = engine().start()
    key = saltline.station("my-tho")
    for n, version in enumerate(["mqttv311", "mqttv5"]):
        report = {"time": f"2026-01-0{n + 1}T00:00:00Z", "replay": True, **REPORT}
        subprocess.run(
            ["mosquitto_pub", "-p", str(saltline.mqtt), "-V", version, "-i", "my-tho", "-u", "my-tho", "-P", key,
             "-q", "1", "-t", "stations/my-tho/readings", "-m", json.dumps(report)], check=True, timeout=20)
    wait_for("both", lambda: len(saltline.readings("my-tho", "salinity")) == 2)
    wrong = subprocess.run(
        ["mosquitto_pub", "-p", str(saltline.mqtt), "-i", "my-tho", "-u", "my-tho", "-P", "wrong", "-t", "x", "-m", "y"],
        capture_output=True, text=True, timeout=20)
    assert wrong.returncode != 0 and "not authorised" in wrong.stderr.lower()


def test_a_subscriber_gets_retained_state_and_the_will_of_a_station_that_died(engine):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    topic = "stations/xuan-hoa/state"
    process = subprocess.Popen(
        ["mosquitto_sub", "-p", str(saltline.mqtt), "-i", "xuan-hoa", "-u", "xuan-hoa", "-P", key, "-t", "stations/xuan-hoa/command",
         "--will-topic", topic, "--will-payload", "offline", "--will-retain", "--will-qos", "1"])
    wait_for("the connection", lambda: saltline.metric("saltline_mqtt_connections") >= 1)
    process.kill()
    process.wait()
    client = Client(saltline, "xuan-hoa", key, mqtt.MQTTv5)
    client.paho.subscribe("stations/xuan-hoa/#", qos=1)
    wait_for("the will", lambda: (topic, b"offline", True) in client.messages)
    client.publish(topic, "online", retain=True)
    wait_for("what it published itself", lambda: (topic, b"online", False) in client.messages)
    client.close()


def test_a_wrong_key_a_foreign_topic_and_a_broken_payload_get_a_clear_answer(engine):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    saltline.station("my-tho")
    denied = Client(saltline, "xuan-hoa", "wrong", mqtt.MQTTv5)
    assert denied.connected[0].value in (0x86, 0x87)
    denied.paho.loop_stop()
    client = Client(saltline, "xuan-hoa", key, mqtt.MQTTv5)
    reason, _ = client.publish("stations/my-tho/readings", REPORT)
    assert reason.value == 0x87
    reason, properties = client.publish("stations/xuan-hoa/readings", '{"values": {"ph": NaN}}')
    assert reason.value == 0x99 and "line 1" in properties.ReasonString
    reason, properties = client.publish("stations/xuan-hoa/readings", {"time": "2026-01-01T00:00:00", **REPORT})
    assert reason.value == 0x99 and "+07:00" in properties.ReasonString
    reason, properties = client.publish("stations/xuan-hoa/readings", {"values": {"salinty": 1, "ph": 7}})
    assert reason.value in (0x00, 0x10) and "did you mean salinity" in properties.ReasonString
    client.close()
    old = Client(saltline, "xuan-hoa", key, mqtt.MQTTv311)
    old.publish("stations/xuan-hoa/readings", "not json")
    old.publish("stations/my-tho/readings", REPORT)
    old.close()
    assert saltline.readings("my-tho", "salinity") == []
    assert saltline.metric("saltline_packets_refused_total") == 6


def test_times_nobody_can_mean_are_refused_and_the_rest_goes_on(engine):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    client = Client(saltline, "xuan-hoa", key, mqtt.MQTTv5)
    for time_text in ["1970-01-01T00:00:10Z", "2099-01-01T00:00:00Z"]:
        reason, _ = client.publish("stations/xuan-hoa/readings", {"time": time_text, **REPORT})
        assert reason.value == 0x99
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    hours = [now - datetime.timedelta(hours=h) for h in (5, 2, 9, 1, 7)]
    for at in hours + hours:
        client.publish("stations/xuan-hoa/readings", {"time": at.isoformat(), "replay": True, "values": {"ph": 7}})
    wait_for("the backlog", lambda: len(saltline.readings("xuan-hoa", "ph")) == 5)
    times = [row["time"] for row in saltline.readings("xuan-hoa", "ph")]
    assert times == sorted(times)
    wait_for("the duplicates", lambda: saltline.metric("saltline_readings_duplicate_total") == 5)
    assert saltline.metric("saltline_readings_unaccounted") == 0
    client.close()


def test_a_packet_of_a_megabyte_is_refused_and_costs_others_nothing(engine):
    saltline = engine().start()
    key, other = saltline.station("xuan-hoa"), saltline.station("my-tho")
    good = Client(saltline, "my-tho", other, mqtt.MQTTv5)
    client = Client(saltline, "xuan-hoa", key, mqtt.MQTTv311)
    client.paho.publish("stations/xuan-hoa/readings", b"x" * (1 << 20), qos=1)
    wait_for("the end of the connection", lambda: client.gone)
    client.paho.loop_stop()
    good.publish("stations/my-tho/readings", REPORT)
    good.close()


def certificate(folder):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "saltline test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    cert = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def test_tls_serves_a_client_while_two_hundred_handshakes_hang(engine, tmp_path):
    import socket

    certificate(tmp_path)
    saltline = engine(mqtt={
        "tls_listen": "127.0.0.1:0", "tls_cert_file": str(tmp_path / "cert.pem"), "tls_key_file": str(tmp_path / "key.pem")})
    saltline.start()
    key = saltline.station("xuan-hoa")
    half_open = [socket.create_connection(("127.0.0.1", saltline.mqtts)) for _ in range(200)]
    half_open[0].sendall(b"\x16\x03\x01")
    client = Client(saltline, "xuan-hoa", key, mqtt.MQTTv5, tls=str(tmp_path / "cert.pem"))
    client.publish("stations/xuan-hoa/readings", REPORT)
    wait_for("the reading", lambda: len(saltline.readings("xuan-hoa", "ph")) == 1)
    client.close()
    for one in half_open:
        one.close()


def test_a_client_that_never_reads_costs_others_nothing(engine):
    import socket

    saltline = engine().start()
    key, other = saltline.station("xuan-hoa"), saltline.station("my-tho")
    deaf = Client(saltline, "xuan-hoa", key, mqtt.MQTTv311)
    deaf.paho.subscribe("stations/xuan-hoa/#", qos=0)
    time.sleep(0.2)
    deaf.paho.loop_stop()
    writer = deaf.paho.socket()
    writer.setblocking(True)
    writer.settimeout(2)
    body = b"\x00\x16stations/xuan-hoa/logs" + b"z" * 60_000
    packet = b"\x30" + _length(len(body)) + body
    stop = threading.Event()

    def shout():
        try:
            for _ in range(500):
                if stop.is_set():
                    return
                writer.sendall(packet)
        except OSError:
            return

    shouting = threading.Thread(target=shout, daemon=True)
    shouting.start()
    good = Client(saltline, "my-tho", other, mqtt.MQTTv5)
    for n in range(50):
        asked = time.monotonic()
        good.publish("stations/my-tho/readings", {"seq": n, **REPORT})
        assert time.monotonic() - asked < 2.0
    stop.set()
    shouting.join()
    good.close()
    assert isinstance(writer, socket.socket)


def _length(n):
    out = bytearray()
    while True:
        n, digit = n >> 7, n & 127
        out.append(digit | (128 if n else 0))
        if not n:
            return bytes(out)


def test_properties_pass_through_and_a_rotated_key_opens_nothing_more(engine):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    fresh = json.loads(saltline.cli("station", "rotate-key", "xuan-hoa", "-o", "json"))["key"]
    assert Client(saltline, "xuan-hoa", key, mqtt.MQTTv311).connected[0].is_failure
    client = Client(saltline, "xuan-hoa", fresh, mqtt.MQTTv5)
    got = []
    client.paho.on_message = lambda c, u, m: got.append(m)
    client.paho.subscribe("stations/xuan-hoa/log", qos=1)
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = ("made-by", "logger 7")
    client.paho.publish("stations/xuan-hoa/log", "door opened", qos=1, properties=properties)
    message = wait_for("the log line", lambda: got)[0]
    assert message.payload == b"door opened" and ("made-by", "logger 7") in message.properties.UserProperty
    client.close()
