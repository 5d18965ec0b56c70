"""Power cuts, a full disk: nothing acknowledged is missing, nothing is doubled."""

import json
import os
import pathlib
import random
import subprocess
import threading
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from conftest import wait_for

ROUNDS = 30
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


class Recorder:
    """A station that sends one report a (virtual) second and writes down every PUBACK."""

    def __init__(self, key):
        self.key, self.sent, self.acked = key, 0, set()

    def round(self, port, seconds, killed):
        # Nothing is held while publishing: paho calls back with its own locks in hand.
        by_mid, acked = {}, []
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="xuan-hoa", protocol=mqtt.MQTTv311)
        client.username_pw_set("xuan-hoa", self.key)
        client.on_publish = lambda c, u, mid, reason, properties: acked.append(mid)
        client.max_inflight_messages_set(50)
        client.connect("127.0.0.1", port)
        client.loop_start()
        end = time.monotonic() + seconds
        while time.monotonic() < end and not killed.is_set():
            n = self.sent
            self.sent += 1
            report = {"time": START_MS + n * 1000, "seq": n, "replay": True, "values": {"salinity": n / 1000, "ph": 7}}
            info = client.publish("stations/xuan-hoa/readings", json.dumps(report), qos=1)
            by_mid[info.mid] = n
            time.sleep(0.0005)
        killed.wait(5)
        client.loop_stop()
        self.acked |= {by_mid[mid] for mid in acked}


def test_kill_at_random_moments_loses_nothing_acknowledged(engine):
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    dice = random.Random(seed)
    saltline = engine(history={"tail_readings_max": 2000}, journal={"segment": "256KiB"}).start()
    recorder = Recorder(saltline.station("xuan-hoa"))
    for _ in range(ROUNDS):
        killed = threading.Event()
        length = dice.uniform(0.05, 0.5)
        sender = threading.Thread(target=recorder.round, args=(saltline.mqtt, length + 1, killed), daemon=True)
        sender.start()
        time.sleep(length)
        saltline.kill()
        killed.set()
        sender.join(30)
        assert not sender.is_alive(), "the client hangs"
        saltline.start()
    acked = recorder.acked
    assert len(acked) > 500, "the client was hardly ever acknowledged: the test would prove nothing"
    wait_for("history to catch up", lambda: set(values(saltline)) >= acked)
    rows = saltline.readings("xuan-hoa", "salinity")
    assert len(rows) == len({row["time"] for row in rows}), "a reading is doubled"
    print(f"{ROUNDS} power cuts, {recorder.sent} sent, {len(acked)} acknowledged, {len(rows)} stored, 0 missing")
    assert saltline.stop() == 0


def values(saltline):
    return [round(row["value"] * 1000) for row in saltline.readings("xuan-hoa", "salinity")]


@pytest.fixture
def small_disk(tmp_path):
    """A filesystem of 16 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount a filesystem here: " + mounted.stderr.decode().strip())
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_acknowledges_nothing_says_so_and_goes_on_when_there_is_room(engine, small_disk):
    saltline = engine(data={"dir": str(small_disk / "data")}).start()
    saltline.data = small_disk / "data"
    key = saltline.station("xuan-hoa")
    acked = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="xuan-hoa", protocol=mqtt.MQTTv311)
    client.username_pw_set("xuan-hoa", key)
    client.on_publish = lambda c, u, mid, r, p: acked.append(mid)
    client.connect("127.0.0.1", saltline.mqtt, keepalive=5)
    client.loop_start()
    send = lambda n: client.publish(
        "stations/xuan-hoa/readings",
        json.dumps({"time": START_MS + n * 1000, "replay": True, "values": {"salinity": n / 1000}}), qos=1)
    send(0)
    wait_for("the first PUBACK", lambda: len(acked) == 1)
    fill(small_disk / "ballast")
    # More than the 256 KiB of room that the journal has set aside.
    for n in range(1, 8001):
        send(n)
    wait_for("the engine to say that it is not ready", lambda: saltline.text("/-/ready")[0] == 503)
    before = len(acked)
    time.sleep(2)
    assert len(acked) == before, "a report was acknowledged on a full disk"
    assert "disk is full" in saltline.log.read_text()
    (small_disk / "ballast").unlink()
    wait_for("the PUBACKs", lambda: len(acked) == 8001)
    wait_for("all readings", lambda: len(saltline.readings("xuan-hoa", "salinity")) == 8001)
    assert saltline.text("/-/ready")[0] == 200
    client.loop_stop()


def test_a_disk_with_little_room_is_told_and_takes_readings_and_is_good_again_by_itself(engine, small_disk):
    saltline = engine(data={"dir": str(small_disk / "data"), "low": "6MiB"}).start()
    saltline.data = small_disk / "data"
    key = saltline.station("xuan-hoa")
    state = lambda: saltline.metric("saltline_disk_state")
    wait_for("the first look", lambda: saltline.metric("saltline_disk_free_bytes") > 6 << 20)
    assert state() == 0
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    with open(small_disk / "ballast", "wb") as ballast:
        ballast.write(b"\0" * (free - (3 << 20)))
    wait_for("the warning", lambda: state() == 1)
    assert saltline.metric("saltline_disk_free_bytes") < 6 << 20
    line, = [json.loads(line) for line in saltline.log.read_text().splitlines() if "the disk is bad" in line]
    assert (line["state"], line["level"]) == ("low", "WARN")
    # It is low, not full: readings are taken, kept and shown.
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="xuan-hoa", protocol=mqtt.MQTTv311)
    client.username_pw_set("xuan-hoa", key)
    client.connect("127.0.0.1", saltline.mqtt)
    client.loop_start()
    said = client.publish("stations/xuan-hoa/readings", json.dumps({"values": {"salinity": 1.5}}), qos=1)
    said.wait_for_publish(10)
    wait_for("the reading", lambda: len(saltline.readings("xuan-hoa", "salinity")) == 1)
    assert saltline.text("/-/ready")[0] == 200
    (small_disk / "ballast").unlink()
    wait_for("a good disk", lambda: state() == 0)
    assert "the disk is good again" in saltline.log.read_text()
    client.loop_stop()


def fill(path: pathlib.Path):
    """Takes every last byte."""
    with open(path, "wb", buffering=0) as ballast:
        for size in (1 << 20, 1 << 12, 1 << 8, 1):
            try:
                while True:
                    ballast.write(b"\0" * size)
            except OSError:
                continue
