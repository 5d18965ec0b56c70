"""Who may come in at the front door: grants, keys, tokens, certificates, claim codes, and what each is limited to."""

import base64
import concurrent.futures
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from conftest import ROOT, SALTLINE, wait_for

REPORT = json.dumps({"values": {"salinity": 8.85, "water_level": 1.12, "ph": 7.1}})


class Client:
    """A paho client that remembers what it was told."""

    def __init__(self, port, user="", key="", version=mqtt.MQTTv5, client_id="", keepalive=60, transport="tcp", tls=None):
        self.connected, self.gone, self.messages, self.granted, self.acked = [], [], [], {}, {}
        more = {"clean_session": True} if version != mqtt.MQTTv5 else {}
        self.paho = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id or user, protocol=version, transport=transport,
            reconnect_on_failure=False, **more)
        if user:
            self.paho.username_pw_set(user, key)
        if tls:
            self.paho.tls_set(**tls)
        if transport == "websockets":
            self.paho.ws_set_options(path="/mqtt")
        self.paho.max_inflight_messages_set(1000)
        self.paho.on_connect = lambda c, u, f, reason, p: self.connected.append((reason, p))
        self.paho.on_disconnect = lambda c, u, f, reason, p: self.gone.append((reason, p))
        self.paho.on_subscribe = lambda c, u, mid, reasons, p: self.granted.__setitem__(mid, reasons)
        self.paho.on_publish = lambda c, u, mid, reason, p: self.acked.__setitem__(mid, reason)
        self.paho.on_message = lambda c, u, m: self.messages.append((m.topic, m.payload))
        self.paho.connect("127.0.0.1", port, keepalive=keepalive)
        self.paho.loop_start()
        wait_for("an answer to CONNECT", lambda: self.connected or self.gone)

    @property
    def welcome(self):
        return bool(self.connected) and not self.connected[0][0].is_failure

    def subscribe(self, topic, qos=1):
        _, mid = self.paho.subscribe(topic, qos=qos)
        return wait_for(f"SUBACK of {topic}", lambda: self.granted.get(mid))[0].value

    def publish(self, topic, payload, qos=1, retain=False):
        mid = self.paho.publish(topic, payload, qos=qos, retain=retain).mid
        return wait_for(f"PUBACK of {topic}", lambda: self.acked.get(mid)).value

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()


def http_port(engine):
    return int(engine.http.rsplit(":", 1)[1])


def cli(engine, *words):
    """What the command printed, as JSON where it printed any."""
    out = engine.cli(*words, "-o", "json")
    return json.loads(out) if out.strip() else None


def gone_within(client, seconds=5.0):
    began = time.monotonic()
    reason, _ = wait_for("the disconnect", lambda: client.gone, seconds)[0]
    assert time.monotonic() - began < seconds
    return reason.value


# --- grants as configuration --------------------------------------------------------------------------------------


@pytest.fixture
def conformance(tmp_path):
    """`configs/conformance.toml`, run as its own first lines say, on free ports."""
    env = {**os.environ, "SALTLINE__MQTT__LISTEN": "127.0.0.1:0", "SALTLINE__HTTP__LISTEN": "127.0.0.1:0"}
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            [SALTLINE, "run", "--config", ROOT / "configs/conformance.toml", "--data", tmp_path / "data"],
            env=env, stdout=subprocess.PIPE, stderr=log)
    ready = json.loads(process.stdout.readline() or '{"failed": "no ready line"}')
    yield {name: int(ready[name].rsplit(":", 1)[1]) for name in ("mqtt", "http")}
    process.terminate()
    assert process.wait(30) == 0


@pytest.mark.parametrize("version, refused", [(mqtt.MQTTv311, 0x80), (mqtt.MQTTv5, 0x87)])
def test_a_conformance_suite_finds_what_it_expects(conformance, version, refused):
    client = Client(conformance["mqtt"], version=version, client_id="suite", keepalive=120)
    assert client.welcome
    if version == mqtt.MQTTv5:
        assert client.connected[0][1].ServerKeepAlive == 60
    assert client.subscribe("test/nosubscribe", 2) == refused
    for topic in ("#", "TopicA/+", "+/C", "/#", "/+", "+/+", "TopicA/#"):
        assert client.subscribe(topic, 2) <= 2, topic
    other = Client(conformance["mqtt"], version=version, client_id="other", keepalive=60)
    if version == mqtt.MQTTv5:
        assert not hasattr(other.connected[0][1], "ServerKeepAlive")
    other.publish("test/nosubscribe", "hidden")
    other.publish("TopicA", "seen")
    wait_for("the message", lambda: ("TopicA", b"seen") in client.messages)
    assert ("test/nosubscribe", b"hidden") not in client.messages
    client.close()
    other.close()


@pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_a_conformance_suite_may_log_in_with_a_name_of_its_own(conformance, version):
    client = Client(conformance["mqtt"], "testuser", "testpassword", version=version, client_id="suite")
    assert client.welcome and client.subscribe("TopicA/#") == 1
    assert client.publish("TopicA/B", b"heard") == 0
    wait_for("its own message", lambda: client.messages == [("TopicA/B", b"heard")])
    client.close()


def test_a_conformance_suite_may_come_over_websocket_and_no_page_of_somebody_elses(conformance):
    client = Client(conformance["http"], client_id="suite", transport="websockets")
    assert client.welcome and client.subscribe("a") == 1
    client.close()
    foreign = Client.__new__(Client)
    foreign.connected, foreign.gone = [], []
    paho = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="page", protocol=mqtt.MQTTv5, transport="websockets",
                       reconnect_on_failure=False)
    paho.ws_set_options(path="/mqtt", headers=lambda headers: {**headers, "Origin": "https://elsewhere.example"})
    paho.on_connect = lambda c, u, f, reason, p: foreign.connected.append(reason)
    paho.connect("127.0.0.1", conformance["http"])
    paho.loop_start()
    wait_for("an answer", lambda: foreign.connected)
    paho.loop_stop()
    assert foreign.connected[0].is_failure


def test_an_open_door_on_a_public_address_is_refused(tmp_path):
    config = tmp_path / "saltline.toml"
    entry = '[[mqtt.anonymous]]\ngrants = ["read:#"]\n'
    config.write_text(entry)
    assert subprocess.run([SALTLINE, "check", "config", "--config", config], timeout=20).returncode == 0
    config.write_text('[mqtt]\nlisten = "0.0.0.0:1883"\n' + entry)
    checked = subprocess.run([SALTLINE, "check", "config", "--config", config], capture_output=True, text=True, timeout=20)
    assert checked.returncode == 78 and "loopback" in checked.stderr and "mqtt.listen" in checked.stderr


# --- WebSocket ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["4", "5"])
def test_mqtt_js_speaks_over_websocket(engine, version):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    url = f"ws://127.0.0.1:{http_port(saltline)}/mqtt"
    script = pathlib.Path(__file__).with_name("websocket.mjs")

    def run(key, size):
        words = ["node", script, url, version, "xuan-hoa", key, "stations/xuan-hoa/log", str(size)]
        return json.loads(subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout)

    assert run(key, 200_000) == {"granted": 1, "on": "stations/xuan-hoa/log", "bytes": 200_000}
    assert "error" in run("wrong", 1)
    assert saltline.stop() == 0


def websocket(port, protocol="mqtt", path="/mqtt"):
    """A raw WebSocket; the answer's head and the socket."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=20)
    raw.sendall((f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                 f"Sec-WebSocket-Protocol: {protocol}\r\n\r\n").encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += raw.recv(1)
    return head.decode(), raw


def frame(payload, opcode=2, last=True):
    first = bytes([opcode | (0x80 if last else 0)])
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack(">H", size)
    if size >= 1 << 16:
        length = bytes([0x80 | 127]) + struct.pack(">Q", size)
    return first + length + b"\0\0\0\0" + payload


def read_frame(raw):
    head = raw.recv(2, socket.MSG_WAITALL)
    if len(head) < 2:
        return None, b""
    size = head[1] & 127
    if size == 126:
        size = struct.unpack(">H", raw.recv(2, socket.MSG_WAITALL))[0]
    return head[0] & 15, raw.recv(size, socket.MSG_WAITALL) if size else b""


def text(words):
    raw = words.encode() if isinstance(words, str) else words
    return struct.pack(">H", len(raw)) + raw


def packet(first, body):
    size, length = len(body), b""
    while True:
        size, low = size >> 7, size & 127
        length += bytes([low | (128 if size else 0)])
        if not size:
            return bytes([first]) + length + body


def connect4(user, key):
    return packet(0x10, text("MQTT") + b"\x04\xc2\0\x3c" + text(user) + text(user) + text(key))


def test_packets_may_span_frames_and_share_them_and_pings_are_answered(engine):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    head, raw = websocket(http_port(saltline))
    assert head.startswith("HTTP/1.1 101") and "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert "sec-websocket-protocol: mqtt\r\n" in head.lower()
    hello = connect4("xuan-hoa", key)
    for byte in hello[:9]:
        raw.sendall(frame(bytes([byte])))
    raw.sendall(frame(b"are you there", opcode=9) + frame(hello[9:]))
    heard = sorted([read_frame(raw), read_frame(raw)])
    assert heard == [(2, b"\x20\x02\x00\x00"), (10, b"are you there")]
    # One message of two frames that holds two packets.
    raw.sendall(frame(b"\xc0", last=False) + frame(b"\x00\xc0\x00", opcode=0))
    answers = b""
    while len(answers) < 4:
        answers += read_frame(raw)[1]
    assert answers == b"\xd0\x00\xd0\x00"
    # The engine's end is the end of the WebSocket too.
    assert saltline.stop() == 0


@pytest.mark.parametrize("what", ["text", "huge"])
def test_what_is_not_mqtt_over_websocket_is_closed(engine, what):
    saltline = engine().start()
    head, raw = websocket(http_port(saltline))
    assert head.startswith("HTTP/1.1 101")
    bad = {"text": frame(b"hello", opcode=1), "huge": b"\x82\xff" + struct.pack(">Q", 1 << 40) + b"\0\0\0\0"}
    raw.sendall(bad[what])
    kind, _ = read_frame(raw)
    assert kind in (None, 8)
    assert websocket(http_port(saltline), protocol="chat")[0].startswith("HTTP/1.1 400")
    assert websocket(http_port(saltline), protocol="chat, mqttv3.1")[0].startswith("HTTP/1.1 101")
    wait_for("the place to be free", lambda: saltline.metric("saltline_mqtt_connections") <= 1)


# --- keys ---------------------------------------------------------------------------------------------------------


def test_a_rotated_key_opens_through_its_grace_and_then_its_connection_ends(engine):
    saltline = engine().start()
    old = saltline.station("xuan-hoa")
    client = Client(saltline.mqtt, "xuan-hoa", old)
    fresh = cli(saltline, "station", "rotate-key", "xuan-hoa", "--grace", "4s")["key"]
    time.sleep(2)
    assert not client.gone and client.publish("stations/xuan-hoa/log", "still here") == 0
    assert gone_within(client, 4 - 2 + 5) == 0x98
    assert not Client(saltline.mqtt, "xuan-hoa", old).welcome
    client = Client(saltline.mqtt, "xuan-hoa", fresh)
    assert client.welcome
    client.close()


@pytest.mark.parametrize("words", [
    ("station", "rotate-key", "xuan-hoa"), ("station", "revoke-key", "xuan-hoa"), ("station", "disable", "xuan-hoa")])
def test_what_no_longer_opens_ends_its_connections_within_five_seconds(engine, words):
    saltline = engine().start()
    key, other = saltline.station("xuan-hoa"), saltline.station("my-tho")
    good = Client(saltline.mqtt, "my-tho", other)
    client = Client(saltline.mqtt, "xuan-hoa", key)
    saltline.cli(*words)
    assert gone_within(client) == 0x98
    again = Client(saltline.mqtt, "xuan-hoa", key)
    assert again.connected[0][0].value == (0x8A if "disable" in words else 0x86)
    if "disable" in words:
        saltline.cli("station", "enable", "xuan-hoa")
        client = Client(saltline.mqtt, "xuan-hoa", key, version=mqtt.MQTTv311)
        assert client.welcome
        saltline.cli("station", "disable", "xuan-hoa")
        wait_for("the end of the 3.1.1 connection", lambda: client.gone, 5)
    assert not good.gone and good.publish("stations/my-tho/readings", REPORT) == 0
    good.close()


# --- tokens -------------------------------------------------------------------------------------------------------


def test_a_token_does_what_its_grants_say_and_ends_when_it_is_revoked(engine):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    made = cli(saltline, "token", "add", "board", "--grant", "read:stations/#", "--grant", "readwrite:partners/board/#",
               "--deny", "read:stations/+/log")
    board = Client(saltline.mqtt, "board", made["token"])
    assert board.welcome
    for topic, answer in [("stations/#", 1), ("partners/board/x", 1), ("#", 0x87), ("latest/#", 0x87),
                          ("stations/xuan-hoa/log", 0x87), ("stations/+/log", 0x87)]:
        assert board.subscribe(topic) == answer, topic
    assert board.publish("partners/board/x", "mine") == 0
    for topic in ("partners/other/x", "stations/xuan-hoa/state", "stations/xuan-hoa/readings"):
        assert board.publish(topic, "not mine") == 0x87, topic
    station = Client(saltline.mqtt, "xuan-hoa", key)
    station.publish("stations/xuan-hoa/log", "hidden by the refusal")
    station.publish("stations/xuan-hoa/state", "online", retain=True)
    wait_for("the state", lambda: ("stations/xuan-hoa/state", b"online") in board.messages)
    assert not [topic for topic, _ in board.messages if topic.endswith("/log")]
    listed = cli(saltline, "token", "list")
    assert [(row["name"], row["state"]) for row in listed] == [("board", "opens")]
    assert made["token"] not in json.dumps(listed)
    saltline.cli("token", "revoke", "board")
    assert gone_within(board) == 0x98
    assert Client(saltline.mqtt, "board", made["token"]).connected[0][0].value == 0x86
    assert cli(saltline, "token", "list")[0]["state"] == "revoked"
    station.close()


def test_a_token_that_ends_by_itself_ends_its_connection(engine):
    saltline = engine().start()
    made = cli(saltline, "token", "add", "guest", "--grant", "read:latest/#", "--expires", "3s")
    guest = Client(saltline.mqtt, "guest", made["token"])
    assert guest.welcome
    assert gone_within(guest, 3 + 5) == 0x98
    wrong = subprocess.run(
        [SALTLINE, "token", "add", "x", "--grant", "reed:#", "--config", saltline.config], capture_output=True, text=True, timeout=20)
    assert wrong.returncode == 2 and "readwrite" in wrong.stderr


# --- SCRAM --------------------------------------------------------------------------------------------------------


class Scram:
    """A raw MQTT 5 client that proves its key and never sends it (RFC 5802, by hand)."""

    def __init__(self, port, method="SCRAM-SHA-256"):
        self.raw, self.method = socket.create_connection(("127.0.0.1", port), timeout=20), method

    def next(self):
        first = self.raw.recv(1)
        if not first:
            return None, b""
        size, shift = 0, 0
        while True:
            byte = self.raw.recv(1)[0]
            size, shift = size | (byte & 127) << shift, shift + 7
            if not byte & 128:
                return first[0], self.raw.recv(size, socket.MSG_WAITALL) if size else b""

    def properties(self, data):
        body = b"\x15" + text(self.method) + b"\x16" + text(data)
        # A variable byte integer, as a packet's own length.
        return packet(0, body)[1:]

    def auth(self, code, data):
        self.raw.sendall(packet(0xF0, bytes([code]) + self.properties(data)))

    def first(self, user):
        self.bare = f"n={user},r=fyko+d2lbbFgONRv9qkxdawL"
        return "n,," + self.bare

    def connect(self, user, client_id):
        body = text("MQTT") + b"\x05\x02\0\x3c" + self.properties(self.first(user)) + text(client_id)
        self.raw.sendall(packet(0x10, body))
        return self.next()

    def proof(self, challenge, key):
        fields = dict(field.split("=", 1) for field in challenge.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", key.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without = f"c=biws,r={fields['r']}"
        message = f"{self.bare},{challenge},{without}".encode()
        mask = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        self.expected = "v=" + base64.b64encode(
            hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")).decode()
        return f"{without},p=" + base64.b64encode(bytes(a ^ b for a, b in zip(client_key, mask))).decode()

    @staticmethod
    def data(body):
        at = body.index(b"\x16", body.index(b"SCRAM-SHA-256") + 13)
        size = struct.unpack(">H", body[at + 1:at + 3])[0]
        return body[at + 3:at + 3 + size].decode()

    def login(self, user, key):
        kind, body = self.connect(user, user)
        assert kind == 0xF0 and body[0] == 0x18
        self.auth(0x18, self.proof(self.data(body), key))
        return self.next()


def test_a_key_is_proved_and_never_sent(engine):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    token = cli(saltline, "token", "add", "board", "--grant", "read:latest/#")["token"]
    for user, secret in [("xuan-hoa", key), ("board", token)]:
        client = Scram(saltline.mqtt)
        kind, body = client.login(user, secret)
        assert kind == 0x20 and body[1] == 0 and client.data(body) == client.expected
        client.raw.sendall(b"\xc0\x00")
        assert client.next() == (0xD0, b"")
    # A wrong key and a name that nobody has are asked and answered alike.
    answers = []
    for user in ("xuan-hoa", "nobody"):
        kind, body = Scram(saltline.mqtt).login(user, "wrong")
        assert kind == 0x20
        answers.append(body)
    assert answers[0] == answers[1] and answers[0][1] == 0x86
    kind, body = Scram(saltline.mqtt, method="PLAIN").connect("xuan-hoa", "xuan-hoa")
    assert kind == 0x20 and body[1] == 0x8C


def test_who_is_connected_may_prove_itself_again_and_lives_on_with_the_new_key(engine):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    client = Scram(saltline.mqtt)
    assert client.login("xuan-hoa", key)[1][1] == 0
    fresh = cli(saltline, "station", "rotate-key", "xuan-hoa", "--grace", "4s")["key"]
    client.auth(0x19, client.first("xuan-hoa"))
    kind, body = client.next()
    assert kind == 0xF0 and body[0] == 0x18
    client.auth(0x18, client.proof(client.data(body), fresh))
    kind, body = client.next()
    assert kind == 0xF0 and body[0] == 0x00 and client.data(body) == client.expected
    time.sleep(6)
    client.raw.sendall(b"\xc0\x00")
    assert client.next() == (0xD0, b"")
    # A proof that is wrong ends the connection.
    client.auth(0x19, client.first("xuan-hoa"))
    client.auth(0x18, client.proof(client.data(client.next()[1]), "wrong"))
    kind, body = client.next()
    assert kind == 0xE0 and body[0] == 0x87


# --- claiming -----------------------------------------------------------------------------------------------------


def post_claim(engine, claim):
    request = urllib.request.Request(
        f"{engine.http}/api/v1/claim", json.dumps({"claim": claim}).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_claim_code_becomes_a_key_over_http_once_also_for_eight_at_once(engine):
    saltline = engine().start()
    saltline.station("xuan-hoa")
    claim = cli(saltline, "station", "claim-code", "xuan-hoa")["claim"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post_claim(saltline, claim), range(8)))
    keys = [body for status, body in answers if status == 200]
    assert len(keys) == 1 and keys[0]["code"] == "xuan-hoa"
    assert {status for status, _ in answers} == {200, 403}
    client = Client(saltline.mqtt, "xuan-hoa", keys[0]["key"])
    assert client.welcome
    client.close()
    assert post_claim(saltline, "claim-00000-00000-00000-00000")[0] == 403
    assert post_claim(saltline, 7)[0] == 400


@pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_a_claim_code_becomes_a_key_over_mqtt_and_opens_nothing_else(engine, version):
    saltline = engine().start()
    saltline.station("xuan-hoa")
    saltline.station("my-tho")
    claim = cli(saltline, "station", "claim-code", "xuan-hoa")["claim"]
    assert not Client(saltline.mqtt, "my-tho", claim).welcome
    claimant = Client(saltline.mqtt, "xuan-hoa", claim, version=version)
    assert claimant.welcome
    assert claimant.subscribe("stations/xuan-hoa/#") >= 0x80
    if version == mqtt.MQTTv5:
        assert claimant.publish("stations/xuan-hoa/readings", REPORT) == 0x87
        assert claimant.publish("claim/xuan-hoa", "") == 0x87, "who does not listen uses nothing up"
    assert claimant.subscribe("claim/xuan-hoa/key") == 1
    claimant.publish("claim/xuan-hoa", "")
    topic, said = wait_for("the key", lambda: claimant.messages)[0]
    key = json.loads(said)["key"]
    assert topic == "claim/xuan-hoa/key"
    claimant.close()
    assert not Client(saltline.mqtt, "xuan-hoa", claim, version=version).welcome
    station = Client(saltline.mqtt, "xuan-hoa", key, version=version)
    assert station.welcome
    station.close()


def test_a_claim_code_is_drawn_for_a_label(engine):
    saltline = engine().start()
    saltline.station("xuan-hoa")
    assert "<svg" in saltline.cli("station", "claim-code", "xuan-hoa", "--qr", "svg")
    assert "█" in saltline.cli("station", "claim-code", "xuan-hoa", "--qr", "terminal")


# --- certificates -------------------------------------------------------------------------------------------------


class Authority:
    """A certificate authority in a folder: the server's certificate, stations' certificates, a revocation list."""

    def __init__(self, folder):
        from cryptography.hazmat.primitives.asymmetric import ec

        self.folder, self.ec, self.revoked = folder, ec, []
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.cert = self.sign("the province", self.key, authority=True)
        self.write("ca", self.cert)
        self.issue("server", "saltline test", server=True)
        self.write_list()

    def sign(self, name, key, authority=False, server=False):
        import ipaddress

        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        named = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder().subject_name(named(name)).issuer_name(named("the province"))
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True))
        if server:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, file, name, server=False):
        from cryptography.hazmat.primitives import serialization as form

        key = self.ec.generate_private_key(self.ec.SECP256R1())
        cert = self.sign(name, key, server=server)
        self.write(file, cert)
        (self.folder / f"{file}.key").write_bytes(
            key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
        return cert

    def write(self, file, cert):
        from cryptography.hazmat.primitives.serialization import Encoding

        (self.folder / f"{file}.pem").write_bytes(cert.public_bytes(Encoding.PEM))

    def write_list(self, *revoked):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.serialization import Encoding

        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (x509.CertificateRevocationListBuilder().issuer_name(self.cert.subject)
                   .last_update(now).next_update(now + datetime.timedelta(days=1))
                   .add_extension(x509.CRLNumber(len(revoked) + 1), critical=False))
        for cert in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(cert.serial_number).revocation_date(now).build()
            builder = builder.add_revoked_certificate(entry)
        (self.folder / "crl.pem").write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def keys(self):
        at = lambda name: str(self.folder / name)
        return {"tls_listen": "127.0.0.1:0", "tls_cert_file": at("server.pem"), "tls_key_file": at("server.key"),
                "tls_client_ca_file": at("ca.pem"), "tls_crl_file": at("crl.pem")}

    def tls(self, file=None):
        at = lambda name: str(self.folder / name)
        own = {"certfile": at(f"{file}.pem"), "keyfile": at(f"{file}.key")} if file else {}
        return {"ca_certs": at("ca.pem"), **own}


def test_a_certificate_lets_its_station_in_until_it_is_revoked(engine, tmp_path):
    import signal

    province = Authority(tmp_path)
    saltline = engine(mqtt=province.keys())
    saltline.start()
    key = saltline.station("xuan-hoa")
    saltline.station("my-tho")
    own = province.issue("xuan-hoa", "xuan-hoa")
    province.issue("my-tho", "my-tho")
    province.issue("stranger", "can-tho")
    client = Client(saltline.mqtts, client_id="xuan-hoa", tls=province.tls("xuan-hoa"))
    assert client.welcome and client.publish("stations/xuan-hoa/readings", REPORT) == 0
    assert client.publish("stations/my-tho/readings", REPORT) == 0x87
    good = Client(saltline.mqtts, client_id="my-tho", tls=province.tls("my-tho"))
    assert good.welcome
    # mosquitto, with TLS 1.2, the certificate and no key.
    words = ["mosquitto_pub", "-p", str(saltline.mqtts), "-h", "127.0.0.1", "-i", "my-tho", "--cafile", tmp_path / "ca.pem",
             "--cert", tmp_path / "my-tho.pem", "--key", tmp_path / "my-tho.key", "--tls-version", "tlsv1.2", "-q", "1",
             "-t", "stations/my-tho/state", "-m", "online"]
    good.close()
    subprocess.run(words, check=True, timeout=20)
    good = Client(saltline.mqtts, client_id="my-tho", tls=province.tls("my-tho"))
    assert not Client(saltline.mqtts, client_id="x", tls=province.tls("stranger")).welcome
    assert not Client(saltline.mqtts, client_id="xuan-hoa", tls=province.tls()).welcome, "no certificate, no key"
    province.write_list(own)
    saltline.process.send_signal(signal.SIGHUP)
    assert gone_within(client) == 0x98
    refused = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="xuan-hoa", protocol=mqtt.MQTTv5, reconnect_on_failure=False)
    refused.tls_set(**province.tls("xuan-hoa"))
    ended = []
    refused.on_connect = lambda c, u, f, reason, p: ended.append("welcome" if not reason.is_failure else "refused")
    refused.on_disconnect = lambda c, u, f, reason, p: ended.append("refused")
    try:
        refused.connect("127.0.0.1", saltline.mqtts)
        refused.loop_start()
        wait_for("the refusal", lambda: ended)
    except OSError:
        ended.append("refused")
    refused.loop_stop()
    assert ended[0] == "refused"
    assert not good.gone and good.publish("stations/my-tho/readings", REPORT) == 0
    # Its key still opens: the certificate was lost, not the station.
    keyed = Client(saltline.mqtts, "xuan-hoa", key, tls=province.tls())
    assert keyed.welcome
    keyed.close()
    saltline.cli("station", "disable", "my-tho")
    assert gone_within(good) == 0x98


# --- limits -------------------------------------------------------------------------------------------------------


def test_a_mad_station_is_slowed_then_sent_away_and_nobody_else_pays(engine):
    saltline = engine(mqtt__limits={"publishes_per_s": 50, "burst": "2s", "patience": "3s"})
    saltline.start()
    key, other = saltline.station("xuan-hoa"), saltline.station("my-tho")
    good = Client(saltline.mqtt, "my-tho", other)
    mad = Client(saltline.mqtt, "xuan-hoa", key)
    began = time.monotonic()
    for n in range(5_000):
        mad.paho.publish("stations/xuan-hoa/readings", REPORT, qos=1)
    slowest = 0.0
    while not mad.gone and time.monotonic() - began < 20:
        asked = time.monotonic()
        assert good.publish("stations/my-tho/readings", REPORT) == 0
        slowest = max(slowest, time.monotonic() - asked)
        time.sleep(0.05)
    assert mad.gone and mad.gone[0][0].value == 0x97
    assert 3 <= time.monotonic() - began
    assert slowest < 1.0
    acked = len(mad.acked)
    assert 100 <= acked <= 100 + 50 * 8, acked
    assert all(reason.value == 0 for reason in mad.acked.values())
    assert saltline.metric("saltline_mqtt_slowed_total") >= 1
    assert saltline.metric('saltline_mqtt_closed_total{reason="over_rate"}') == 1
    good.close()
    mad.paho.loop_stop()


def test_a_slow_backlog_within_patience_comes_in_whole(engine):
    saltline = engine(mqtt__limits={"publishes_per_s": 100, "burst": "1s", "patience": "1m"})
    saltline.start()
    key = saltline.station("xuan-hoa")
    client = Client(saltline.mqtt, "xuan-hoa", key)
    for n in range(400):
        at = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(minutes=n)
        report = {"time": at.isoformat(), "seq": n, "replay": True, "values": {"ph": 7}}
        client.paho.publish("stations/xuan-hoa/readings", json.dumps(report), qos=1)
    began = time.monotonic()
    wait_for("every acknowledgement", lambda: len(client.acked) == 400, 30)
    assert 2 < time.monotonic() - began
    assert not client.gone
    wait_for("every reading", lambda: len(saltline.readings("xuan-hoa", "ph")) == 400)
    client.close()


def test_half_open_connections_give_way_and_are_counted(engine):
    saltline = engine(mqtt__limits={"handshakes": 40, "handshakes_per_address": 20, "connections": 100,
                                    "connections_per_address": 60, "login_within": "1m", "subscriptions": 3})
    saltline.start()
    key = saltline.station("xuan-hoa")
    hang = [socket.create_connection(("127.0.0.1", saltline.mqtt)) for _ in range(20)]
    count = lambda outcome: saltline.metric(f'saltline_mqtt_connects_total{{outcome="{outcome}"}}')
    wait_for("their places", lambda: saltline.metric("saltline_mqtt_connections") == 20)
    one_more = socket.create_connection(("127.0.0.1", saltline.mqtt), timeout=20)
    assert one_more.recv(1) == b""
    wait_for("the refusal", lambda: count("too_many_handshakes_from_address") == 1)
    time.sleep(2.2)
    client = Client(saltline.mqtt, "xuan-hoa", key)
    assert client.welcome
    wait_for("who gave way", lambda: count("gave_way") == 1)
    assert [client.subscribe(f"stations/xuan-hoa/{n}") for n in range(4)] == [1, 1, 1, 0x97]
    client.close()
    for one in hang:
        one.close()
