"""Mosquitto as somebody else's broker that we take from: TLS, a password, both versions, power cuts on our side,
restarts on its side, two workers of a shared subscription."""

import json
import random
import shutil
import subprocess
import threading
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from conftest import free_port, wait_for
from test_mqtt import certificate
from test_power import fill, small_disk  # noqa: F401

START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
PASSWORD = "ở đâu cũng mặn"


class Mosquitto:
    """A broker with a folder of its own, that can go away and come back on the same port."""

    def __init__(self, folder, tls=False, login=False, **options):
        self.folder, self.port, self.process = folder / "mosquitto", free_port(), None
        self.folder.mkdir()
        lines = [f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {self.folder}/",
                 "user root", "max_queued_messages 0", "max_inflight_messages 100"]
        if login:
            passwords = self.folder / "passwords"
            subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "saltline", PASSWORD], check=True)
            subprocess.run(["mosquitto_passwd", "-b", passwords, "sender", "sender"], check=True)
            lines += [f"password_file {passwords}", "allow_anonymous false"]
        else:
            lines += ["allow_anonymous true"]
        if tls:
            lines += [f"cafile {folder}/cert.pem", f"certfile {folder}/cert.pem", f"keyfile {folder}/key.pem"]
        self.config = self.folder / "mosquitto.conf"
        self.config.write_text("\n".join(lines) + "\n")

    def start(self):
        log = open(self.folder / "mosquitto.log", "ab")
        self.process = subprocess.Popen(["mosquitto", "-c", self.config], stdout=log, stderr=log)
        wait_for("mosquitto", self._listens)
        return self

    def _listens(self):
        import socket

        assert self.process.poll() is None, (self.folder / "mosquitto.log").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)


class Nats(Mosquitto):
    """NATS, which speaks MQTT 3.1.1 out of its JetStream."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder / "nats", free_port(), None
        self.folder.mkdir()
        self.config = self.folder / "nats.conf"
        self.config.write_text(
            f'listen: "127.0.0.1:{free_port()}"\nserver_name: province\njetstream {{ store_dir: "{self.folder}" }}\n'
            f'mqtt {{ listen: "127.0.0.1:{self.port}", max_ack_pending: 1000 }}\n')

    def start(self):
        log = open(self.folder / "nats.log", "ab")
        self.process = subprocess.Popen(["nats-server", "-c", self.config], stdout=log, stderr=log)
        wait_for("nats", self._listens)
        return self


@pytest.fixture
def nats(tmp_path):
    if not shutil.which("nats-server"):
        pytest.skip("nats-server is not installed (go install github.com/nats-io/nats-server/v2@latest)")
    broker = Nats(tmp_path).start()
    yield lambda: broker
    broker.stop()


@pytest.fixture
def mosquitto(tmp_path):
    if not shutil.which("mosquitto"):
        pytest.skip("mosquitto is not installed")
    made = []

    def make(**options):
        made.append(Mosquitto(tmp_path, **options).start())
        return made[-1]

    yield make
    for one in made:
        one.stop()


class Sender:
    """A station's link to the other broker, that writes down every PUBACK it gets there."""

    def __init__(self, broker, user=None, tls=None):
        self.acked, self.sent = {}, {}
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="sender", protocol=mqtt.MQTTv311)
        if user:
            self.paho.username_pw_set(user, user)
        if tls:
            self.paho.tls_set(ca_certs=str(tls))
        self.paho.max_queued_messages_set(0)
        self.paho.on_publish = lambda c, u, mid, reason, properties: self.acked.__setitem__(mid, True)
        self.paho.connect("127.0.0.1", broker.port)
        self.paho.loop_start()

    def publish(self, topic, payload, qos=1, retain=False):
        payload = payload if isinstance(payload, (str, bytes)) else json.dumps(payload)
        return self.paho.publish(topic, payload, qos=qos, retain=retain)

    def report(self, n, station="xuan-hoa"):
        values = {"salinity": n / 1000, "ph": 7}
        report = {"time": START_MS + n * 1000, "seq": n, "replay": True, "values": values}
        self.sent[self.publish(f"province/{station}/data", report).mid] = n

    def acknowledged(self):
        return {self.sent[mid] for mid in list(self.acked) if mid in self.sent}

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()


def upstream(saltline, broker, **keys):
    """Writes the list of upstreams beside the engine's configuration."""
    entry = {"name": "province", "url": f"mqtt://127.0.0.1:{broker.port}", "topics": ["province/{station}/data"],
             "retry_max": "1s", **keys}
    folder = saltline.folder / "conf.d"
    folder.mkdir(exist_ok=True)
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
    (folder / "upstream.toml").write_text("[[ingest.upstream]]\n" + lines)
    return saltline


def connected(saltline, workers=1):
    wait_for("the upstream", lambda: saltline.metric("saltline_upstream_connected") == workers)
    return saltline


def stored(saltline, station="xuan-hoa"):
    rows = saltline.readings(station, "salinity")
    assert len(rows) == len({row["time"] for row in rows}), "a reading is doubled"
    return {round(row["value"] * 1000) for row in rows}


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_another_brokers_stations_are_stored_and_what_cannot_be_meant_is_a_dead_letter(engine, mosquitto, tmp_path, version):
    certificate(tmp_path)
    broker = mosquitto(tls=True, login=True)
    (tmp_path / "password").write_text(PASSWORD + "\n")
    saltline = upstream(
        engine(), broker, url=f"mqtts://127.0.0.1:{broker.port}", tls_ca_file=str(tmp_path / "cert.pem"),
        user="saltline", password_file=str(tmp_path / "password"), version=version, packet_bytes_max="16KiB")
    connected(saltline.start())
    saltline.station("xuan-hoa")
    sender = Sender(broker, user="sender", tls=tmp_path / "cert.pem")
    time.sleep(1.2)  # The engine looks at its registry each second.
    sender.report(1)
    wait_for("the reading", lambda: stored(saltline) == {1})
    topic = "province/xuan-hoa/data"
    sender.publish("province/nobody-here/data", {"values": {"ph": 7}})
    sender.publish("province/Hòa Định/data", {"values": {"ph": 7}})
    sender.publish(topic, "not json")
    sender.publish(topic, b"\xff\xfe\x00")
    sender.publish(topic, "")
    sender.publish(topic, {"time": 0, "values": {"ph": 7}})
    sender.publish(topic, {"values": {"ph": 7, "unheard-of": 1}})
    sender.publish(topic, b"[" + b" " * 200_000 + b"]")
    sender.report(2)
    sender.publish(topic, {"time": START_MS + 9000, "replay": True, "values": {"salinity": 0.009}}, qos=0)
    wait_for("what came after", lambda: stored(saltline) == {1, 2, 9})
    # MQTT 5 tells the broker how large a packet may be; Mosquitto then drops the larger one itself.
    large = 0 if version == "5" else 1
    wait_for("every acknowledgement", lambda: saltline.metric("saltline_upstream_acknowledged_total") == 9 + large)
    refused = {"unknown_station": 2, "malformed": 3, "too_old": 1, "unknown_parameter": 1, "too_large": large}
    text = saltline.text("/metrics")[1]
    for reason, packets in refused.items():
        assert not packets or f'saltline_packets_refused_total{{reason="{reason}"}} {packets}\n' in text, (reason, text)
    assert saltline.metric("saltline_readings_unaccounted") == 0
    sender.close()
    assert saltline.stop() == 0


def test_what_came_while_we_were_away_arrives_and_a_retained_report_without_a_time_is_not_now(engine, mosquitto):
    broker = mosquitto()
    saltline = upstream(engine(), broker)
    connected(saltline.start())
    saltline.station("xuan-hoa")
    assert saltline.stop() == 0
    sender = Sender(broker)
    for n in range(500):
        sender.report(n)
    wait_for("the broker to have them", lambda: len(sender.acknowledged()) == 500)
    connected(saltline.start())
    wait_for("what came meanwhile", lambda: stored(saltline) == set(range(500)))
    assert saltline.stop() == 0
    sender.publish("province/xuan-hoa/data", {"values": {"salinity": 9.0}}, retain=True)
    # Another client id: a session that begins finds what is retained.
    upstream(saltline, broker, client_id="another")
    connected(saltline.start())
    wait_for("the refusal", lambda: 'refused_total{reason="bad_time"} 1' in saltline.text("/metrics")[1])
    assert stored(saltline) == set(range(500))
    sender.close()
    assert saltline.stop() == 0


@pytest.mark.parametrize(("kind", "version"), [("mosquitto", "3.1.1"), ("mosquitto", "5"), ("nats", "3.1.1")])
def test_kill_of_the_engine_loses_and_doubles_nothing_that_the_broker_had(engine, request, kind, version):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    broker = request.getfixturevalue(kind)()
    saltline = upstream(engine(history={"tail_readings_max": 2000}), broker, version=version)
    connected(saltline.start())
    saltline.station("xuan-hoa")
    time.sleep(1.2)
    sender, stop = Sender(broker), threading.Event()

    def send():
        n = 0
        while not stop.is_set():
            sender.report(n)
            n += 1
            time.sleep(0.001)

    sending = threading.Thread(target=send, daemon=True)
    sending.start()
    for _ in range(10):
        time.sleep(dice.uniform(0.1, 0.6))
        saltline.kill()
        saltline.start()
        connected(saltline)
    stop.set()
    sending.join()
    wait_for("the broker's answers", lambda: len(sender.acknowledged()) == len(sender.sent))
    expected = sender.acknowledged()
    assert len(expected) > 500
    wait_for("every reading", lambda: stored(saltline) == expected, seconds=60)
    again = saltline.metric("saltline_readings_duplicate_total")
    print(f"10 power cuts, {len(expected)} at the broker, all stored once; {again:.0f} readings came again since the last")
    sender.close()
    assert saltline.stop() == 0


def test_a_broker_that_restarts_is_found_again(engine, mosquitto):
    broker = mosquitto()
    saltline = upstream(engine(), broker)
    connected(saltline.start())
    saltline.station("xuan-hoa")
    time.sleep(1.2)
    for n in range(3):
        sender = Sender(broker)
        sender.report(n)
        wait_for("the reading", lambda: stored(saltline) == set(range(n + 1)))
        sender.close()
        broker.stop()
        wait_for("the loss", lambda: saltline.metric("saltline_upstream_connected") == 0)
        assert saltline.text("/-/ready")[0] == 200
        time.sleep(1)
        broker.start()
        connected(saltline)
    assert saltline.metric("saltline_upstream_lost_total") == 3
    assert "no upstream" in saltline.log.read_text()
    assert saltline.stop() == 0


def test_two_workers_of_a_group_share_the_messages(engine, mosquitto):
    broker = mosquitto()
    saltline = upstream(engine(), broker, share="saltline", workers=2)
    connected(saltline.start(), workers=2)
    for station in ("xuan-hoa", "my-tho"):
        saltline.station(station)
    time.sleep(1.2)
    sender = Sender(broker)
    for n in range(1000):
        sender.report(n, station="my-tho" if n % 2 else "xuan-hoa")
    wait_for("all of both", lambda: stored(saltline) | stored(saltline, "my-tho") == set(range(1000)))
    wait_for("every acknowledgement", lambda: saltline.metric("saltline_upstream_acknowledged_total") == 1000)
    assert saltline.metric("saltline_readings_duplicate_total") == 0, "each worker got what the other got"
    saltline.kill()
    for n in range(1000, 1500):
        sender.report(n)
    connected(saltline.start(), workers=2)
    wait_for("the rest", lambda: set(range(1000, 1500)) <= stored(saltline))
    sender.close()
    assert saltline.stop() == 0


def test_a_wrong_password_is_said_and_tried_again_with_patience(engine, mosquitto, tmp_path):
    broker = mosquitto(login=True)
    (tmp_path / "password").write_text("wrong")
    saltline = upstream(engine(), broker, user="saltline", password_file=str(tmp_path / "password"))
    saltline.start()
    refused = lambda: re_metric(saltline, "turned_away")
    wait_for("three tries", lambda: refused() >= 3)
    assert saltline.metric("saltline_upstream_connected") == 0
    assert "NotAuthorized" in saltline.log.read_text() and PASSWORD not in saltline.log.read_text()
    assert saltline.stop() == 0


def re_metric(saltline, outcome):
    import re

    found = re.findall(rf'^saltline_upstream_connects_total{{[^}}]*outcome="{outcome}"[^}}]*}} (\d+)', saltline.text("/metrics")[1], re.M)
    return sum(map(int, found))


def test_a_configuration_that_contradicts_itself_is_refused_by_name(engine, mosquitto):
    broker = mosquitto()
    for keys, why in [({"workers": 2}, "share"), ({"topics": ["province/+/data"]}, "{station}"), ({"topcis": []}, "topics")]:
        saltline = upstream(engine(), broker, **keys)
        with pytest.raises(AssertionError):
            saltline.start()
        assert why in saltline.log.read_text(), saltline.log.read_text()


def test_a_full_disk_leaves_the_messages_with_the_broker(engine, mosquitto, small_disk):  # noqa: F811
    broker = mosquitto()
    saltline = upstream(engine(data={"dir": str(small_disk / "data")}), broker)
    connected(saltline.start())
    saltline.station("xuan-hoa")
    time.sleep(1.2)
    sender = Sender(broker)
    sender.report(0)
    wait_for("the first", lambda: stored(saltline) == {0})
    fill(small_disk / "ballast")
    # More than the 256 KiB of room that the journal has set aside.
    for n in range(1, 6001):
        sender.report(n)
    wait_for("the engine to say that it is not ready", lambda: saltline.text("/-/ready")[0] == 503)
    before = saltline.metric("saltline_upstream_acknowledged_total")
    time.sleep(3)
    assert saltline.metric("saltline_upstream_acknowledged_total") == before
    assert saltline.metric("saltline_upstream_connected") == 1, "the connection is not kept"
    (small_disk / "ballast").unlink()
    wait_for("all", lambda: stored(saltline) == set(range(6001)), seconds=60)
    sender.close()
    assert saltline.stop() == 0
