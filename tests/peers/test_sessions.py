"""Sessions on disk: clients that none of us wrote, and an engine that is killed under them. What was acknowledged
reaches a subscriber that was away, and what has QoS 2 reaches it once."""

import collections
import json
import os
import random
import threading
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from conftest import free_port, wait_for
from test_power import START_MS, fill, small_disk  # noqa: F401 (a fixture)

ROUNDS = int(os.environ.get("SALTLINE_KILL_ROUNDS", 10))
# What waits for one session by default, less what a round may add.
QUEUE = 1000
EVERYBODY = [{"grants": ["readwrite:#"]}]
VERSIONS = pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5], ids=["3.1.1", "5.0"])


def lasting(engine, **sections):
    """An engine on a port that stays the same, so that clients find it again by themselves."""
    mqtt_section = {"listen": f"127.0.0.1:{free_port()}", "anonymous": EVERYBODY} | sections.pop("mqtt", {})
    return engine(mqtt=mqtt_section, **sections)


class Client:
    """A paho client whose session outlives its connection.

    It does not come back by itself: paho 2.1 forgets at its second try to connect that it has seen a PUBREC, and sends
    the PUBLISH again as if it were new. So it is called back when the engine serves, and waits for its CONNACK."""

    def __init__(self, port, name, version=mqtt.MQTTv311, expiry_s=3600, key=None):
        self.port, self.expiry_s, self.version = port, expiry_s, version
        self.got, self.acked, self.present, self.granted = [], [], [], []
        clean = {} if version == mqtt.MQTTv5 else {"clean_session": False}
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=version,
                                reconnect_on_failure=False, **clean)
        if key:
            self.paho.username_pw_set(name, key)
        self.paho.max_inflight_messages_set(50)
        self.paho.on_message = lambda c, u, message: self.got.append((message.topic, message.payload.decode()))
        self.paho.on_publish = lambda c, u, mid, reason, properties: self.acked.append(mid)
        self.paho.on_connect = lambda c, u, flags, reason, properties: self.present.append(flags.session_present)
        self.paho.on_subscribe = lambda c, u, mid, reasons, properties: self.granted.append(mid)

    def connect(self):
        before = len(self.present)
        if self.version == mqtt.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = self.expiry_s
            self.paho.connect("127.0.0.1", self.port, clean_start=False, properties=properties)
        else:
            self.paho.connect("127.0.0.1", self.port)
        self.paho.loop_start()
        wait_for("the CONNACK", lambda: before < len(self.present))
        return self

    def back(self):
        """Connects again after the engine was away."""
        before = len(self.present)
        self.paho.loop_stop()
        self.paho.reconnect()
        self.paho.loop_start()
        wait_for("the CONNACK", lambda: before < len(self.present))

    def subscribe(self, topic, qos):
        _, mid = self.paho.subscribe(topic, qos)
        wait_for("the SUBACK", lambda: mid in self.granted)
        return self

    def say(self, topic, payload, qos, retain=False):
        return self.paho.publish(topic, payload, qos, retain).mid

    def say_and_hear(self, topic, payload, qos=1, retain=False):
        mid = self.say(topic, payload, qos, retain)
        wait_for("the acknowledgement", lambda: mid in self.acked)

    def leave(self):
        """Away without a goodbye of the session: what comes waits."""
        self.paho.disconnect()
        self.paho.loop_stop()

    def payloads(self, topic=None):
        return [payload for at, payload in list(self.got) if topic in (None, at)]


@VERSIONS
def test_who_was_away_gets_everything_after_a_kill_and_in_order(engine, version):
    saltline = lasting(engine).start()
    board = Client(saltline.mqtt, "board", version).connect().subscribe("t/#", 2)
    board.leave()
    talker = Client(saltline.mqtt, "talker", version).connect()
    for n in range(100):
        talker.say_and_hear(f"t/{1 + n % 2}", str(n), qos=1 + n % 2)
    saltline.kill()
    saltline.start()
    board.connect()
    assert board.present == [False, True]
    wait_for("what waited", lambda: len(board.got) == 100)
    for qos in (1, 2):
        assert board.payloads(f"t/{qos}") == [str(n) for n in range(100) if 1 + n % 2 == qos]
    talker.leave()
    board.leave()
    assert saltline.stop() == 0


@VERSIONS
def test_what_is_retained_survives_and_what_was_taken_away_does_not(engine, version):
    saltline = lasting(engine).start()
    talker = Client(saltline.mqtt, "talker", version).connect()
    for topic, payload in [("r/a", "old"), ("r/a", "new"), ("r/b", "gone"), ("r/b", ""), ("r/ç", "độ mặn")]:
        talker.say_and_hear(topic, payload, retain=True)
    saltline.kill()
    saltline.start()
    reader = Client(saltline.mqtt, "reader", version).connect().subscribe("r/#", 1)
    wait_for("what is retained", lambda: len(reader.got) == 2)
    talker.leave()
    # Whatever else were retained would have come before this.
    Client(saltline.mqtt, "another", version).connect().say_and_hear("r/last", "x")
    wait_for("the last", lambda: reader.payloads("r/last"))
    assert sorted(reader.got) == [("r/a", "new"), ("r/last", "x"), ("r/ç", "độ mặn")]


def test_a_sessions_time_runs_while_the_engine_does_not(engine):
    saltline = lasting(engine).start()
    short = Client(saltline.mqtt, "short", mqtt.MQTTv5, expiry_s=2).connect()
    long = Client(saltline.mqtt, "long", mqtt.MQTTv5, expiry_s=600).connect()
    short.leave()
    long.leave()
    assert saltline.stop() == 0
    time.sleep(2.5)  # It is the time itself that is looked at.
    saltline.start()
    short.connect()
    long.connect()
    assert (short.present[-1], long.present[-1]) == (False, True)
    short.leave()
    long.leave()


def test_a_queue_has_its_bound_over_a_restart_and_what_is_dropped_is_counted(engine):
    saltline = lasting(engine).start()
    board = Client(saltline.mqtt, "board").connect().subscribe("t", 1)
    board.leave()
    talker = Client(saltline.mqtt, "talker").connect()

    def say(numbers):
        mids = [talker.say("t", str(n), 1) for n in numbers]
        wait_for("the acknowledgements", lambda: set(mids) <= set(talker.acked))

    say(range(QUEUE - 10))
    saltline.kill()
    saltline.start()
    talker.back()
    say(range(QUEUE - 10, QUEUE + 25))
    assert saltline.metric("saltline_mqtt_dropped_total") == 25
    board.connect()
    wait_for("what waited", lambda: len(board.got) == QUEUE)
    talker.say_and_hear("t", "last")
    wait_for("the last", lambda: "last" in board.payloads())
    assert board.payloads() == [str(n) for n in range(QUEUE)] + ["last"]
    assert saltline.metric("saltline_session_log_sessions") == 2
    assert 0 < saltline.metric("saltline_session_log_bytes")
    talker.leave()
    board.leave()


def test_a_will_that_waits_is_published_after_a_kill(engine):
    saltline = lasting(engine).start()
    reader = Client(saltline.mqtt, "reader").connect().subscribe("w/#", 1)
    mortal = Client(saltline.mqtt, "mortal", mqtt.MQTTv5)
    delay = Properties(PacketTypes.WILLMESSAGE)
    delay.WillDelayInterval = 2
    mortal.paho.will_set("w/mortal", "gone", qos=1, retain=True, properties=delay)
    mortal.connect()
    mortal.paho._sock_close()  # The network breaks; paho is not told.
    mortal.paho.loop_stop()
    wait_for("the engine to notice", lambda: "disconnected" in saltline.log.read_text())
    time.sleep(0.2)
    saltline.kill()
    saltline.start()
    reader.back()
    wait_for("the will", lambda: reader.payloads("w/mortal") == ["gone"])
    reader.leave()


def test_a_full_disk_holds_back_what_somebody_absent_has_to_get(engine, small_disk):
    saltline = lasting(engine, data={"dir": str(small_disk / "data")}).start()
    saltline.data = small_disk / "data"
    board = Client(saltline.mqtt, "board").connect().subscribe("t/#", 1)
    board.leave()
    talker = Client(saltline.mqtt, "talker").connect()
    talker.say_and_hear("t/a", "before")
    fill(small_disk / "ballast")
    # More than the 256 KiB of room that the journal has set aside.
    mids = [talker.say("t/a", str(n).ljust(20_000), 1) for n in range(20)]
    wait_for("the engine to say that it is not ready", lambda: "sessions" in saltline.text("/-/ready")[1])
    time.sleep(1)  # What found room is on its way to the talker.
    before = len(talker.acked)
    assert before <= 1 + (256 << 10) // 20_000, "more was acknowledged than there was room for"
    time.sleep(1)
    assert len(talker.acked) == before, "a message was acknowledged on a full disk"
    (small_disk / "ballast").unlink()
    wait_for("the acknowledgements", lambda: set(mids) <= set(talker.acked))
    saltline.kill()
    saltline.start()
    board.connect()
    wait_for("what waited", lambda: {it.strip() for it in board.payloads()} == {"before", *map(str, range(20))})
    talker.leave()
    board.leave()


class Talker:
    """Says numbers, QoS 1 and 2 in turn, and never one twice by itself."""

    def __init__(self, client, topic, body):
        self.client, self.topic, self.body, self.by_mid = client, topic, body, {}

    def say(self):
        n = len(self.by_mid)
        mid = self.client.say(self.topic.format(1 + n % 2), self.body(n), 1 + n % 2)
        self.by_mid[mid] = n

    def acked(self):
        return {self.by_mid[mid] for mid in list(self.client.acked) if mid in self.by_mid}

    def finished(self):
        return len(self.acked()) == len(self.by_mid)


def report(n):
    return json.dumps({"time": START_MS + n * 1000, "seq": n, "replay": True, "values": {"salinity": n / 1000}})


def number(payload):
    return json.loads(payload)["seq"] if payload.startswith("{") else int(payload)


def test_kills_lose_nothing_acknowledged_and_double_nothing_with_qos_2(engine):
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    dice = random.Random(seed)
    saltline = lasting(engine).start()
    key = saltline.station("xuan-hoa")
    port = saltline.mqtt
    topics = [("t/#", 2), ("stations/+/readings", 2)]
    # One is there all the time, one is away for three rounds of four.
    here = Client(port, "here", mqtt.MQTTv5).connect()
    away = Client(port, "away", mqtt.MQTTv311).connect()
    for board in (here, away):
        for topic, qos in topics:
            board.subscribe(topic, qos)
    away.leave()
    talkers = [
        Talker(Client(port, "talker-4", mqtt.MQTTv311).connect(), "t/four/{}", str),
        Talker(Client(port, "talker-5", mqtt.MQTTv5).connect(), "t/five/{}", str),
        Talker(Client(port, "xuan-hoa", mqtt.MQTTv311, key=key).connect(), "stations/xuan-hoa/readings", report),
    ]
    for turn in range(ROUNDS):
        there = turn % 4 == 3
        if there:
            away.connect()
        killed = threading.Event()
        killer = threading.Timer(dice.uniform(0.02, 0.5), lambda: (saltline.kill(), killed.set()))
        killer.start()
        for _ in range(70):
            for talker in talkers:
                talker.say()
            if killed.wait(dice.uniform(0, 0.004)):
                break
        killer.join()
        saltline.start()
        for client in (here, *(talker.client for talker in talkers)):
            client.back()
        if there:
            away.back()
            wait_for("what waited for the absent one", lambda: all_there(away, talkers), 60)
            away.leave()
    away.connect()
    wait_for("every acknowledgement", lambda: all(talker.finished() for talker in talkers), 60)
    for talker in talkers:
        talker.say()
        talker.say()
    wait_for("the last acknowledgement", lambda: all(talker.finished() for talker in talkers), 60)
    for board in (here, away):
        wait_for("everything", lambda: all_there(board, talkers), 60)
        # QoS 2 ends with PUBREL: nothing more is on its way when a round trip behind it is over.
        board.subscribe("t/#", 2)
        time.sleep(0.5)
        doubled = {key: count for key, count in heard(board).items() if count != 1 and key[1] % 2 == 1}
        assert not doubled, f"heard more than once with QoS 2: {doubled}"
    stored = [round(row["value"] * 1000) for row in saltline.readings("xuan-hoa", "salinity")]
    assert len(stored) == len(set(stored)), "a reading is doubled"
    assert set(stored) >= talkers[2].acked()
    said = sum(len(talker.by_mid) for talker in talkers)
    again = sum(sum(heard(board).values()) for board in (here, away)) - 2 * said
    print(f"{ROUNDS} kills, {said} said and acknowledged, 0 lost, 0 doubled with QoS 2, {again} repeated with QoS 1")
    for client in (here, away, *(talker.client for talker in talkers)):
        client.leave()
    assert saltline.stop() == 0


def heard(board):
    """How often each number of each talker was heard."""
    return collections.Counter((topic.rsplit("/", 1)[0], number(payload)) for topic, payload in list(board.got))


def all_there(board, talkers):
    """Everything that was acknowledged until now has been heard."""
    counted = heard(board)
    return all((t.topic.rsplit("/", 1)[0], n) in counted for t in talkers for n in t.acked())
