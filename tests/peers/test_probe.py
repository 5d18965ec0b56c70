"""`saltline probe mqtt` at a real Mosquitto: what comes is shown with what would take it, and what is written takes it."""

import json
import subprocess
import threading
import time

import paho.mqtt.client as mqtt
import pytest
from conftest import SALTLINE, free_port, wait_for
from paho.mqtt.enums import CallbackAPIVersion
from test_mqtt import certificate
from test_upstream import PASSWORD, Sender, mosquitto  # noqa: F401


def probe(broker, *words, code=0, scheme="mqtt"):
    url = broker if isinstance(broker, str) else f"{scheme}://127.0.0.1:{broker.port}"
    done = subprocess.run([SALTLINE, "probe", "mqtt", url, *words], text=True, capture_output=True, timeout=60)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


class Talk(threading.Thread):
    """Says the same again and again until it is told to stop."""

    def __init__(self, broker, messages, **sender):
        super().__init__(daemon=True)
        self.sender, self.messages, self.ended = Sender(broker, **sender), messages, threading.Event()
        self.start()

    def run(self):
        while not self.ended.wait(0.1):
            for topic, payload in self.messages():
                self.sender.publish(topic, payload)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()
        self.sender.close()


def report(**values):
    return {"ts": int(time.time() * 1000) // 60_000 * 60_000, "values": values}


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_what_a_probe_writes_takes_what_it_heard(engine, mosquitto, tmp_path, version):  # noqa: F811
    certificate(tmp_path)
    broker = mosquitto(tls=True, login=True)
    (tmp_path / "password").write_text(PASSWORD + "\n")
    login = ["--user", "saltline", "--password-file", str(tmp_path / "password"),
             "--tls-ca-file", str(tmp_path / "cert.pem"), "--mqtt-version", version]
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "pack").mkdir()
    upstream, stations = tmp_path / "conf.d/upstream.toml", tmp_path / "pack/stations.toml"
    messages = lambda: [  # noqa: E731
        ("tg/xuan-hoa/data", report(EC=15_200, Temp=28.5, door=1)),
        ("tg/An Dinh/data", report(EC=15_300, Temp=99, Sal=8.9)),
        ("tg/log", "started")]
    with Talk(broker, messages, user="sender", tls=tmp_path / "cert.pem"):
        done = probe(broker, *login, "--for", "2s", "-o", "json", "--upstream", str(upstream), "--profile", str(stations),
                     scheme="mqtts")
        rows = {(row["topic"], row["name"]): row for row in json.loads(done.stdout)}
        assert len(rows) == 7
        ec = rows["tg/xuan-hoa/data", "EC"]
        assert (ec["station"], ec["format"], ec["value"], ec["unit"]) == ("xuan-hoa", "thingsboard", 15_200, "µS/cm")
        assert (ec["parameter"], ec["ours"], ec["our_unit"], ec["plausible"]) == ("conductivity", 15.2, "mS/cm", True)
        assert rows["tg/An Dinh/data", "Temp"]["plausible"] is False and rows["tg/An Dinh/data", "Temp"]["high"] == 36
        assert rows["tg/xuan-hoa/data", "door"]["why"].startswith("unknown_parameter")
        log = rows["tg/log", None]
        assert (log["format"], log["begins"], log["bytes"]) == (None, "started", 7)
        assert "format `thingsboard` reads 2 topic(s) of `tg/{station}/data`" in done.stderr
        # The engine takes what was written as it is.
        saltline = engine()
        saltline.cli("import", str(tmp_path / "pack"))
        saltline.start()
        wait_for("readings of both", lambda: all(saltline.readings(*of) for of in [
            ("xuan-hoa", "conductivity"), ("an-dinh", "salinity")]))
        assert saltline.readings("an-dinh", "salinity")[0]["value"] == 8.9
        assert saltline.readings("xuan-hoa", "conductivity")[0]["value"] == pytest.approx(15.2)
    assert saltline.stop() == 0


def test_a_probe_takes_nothing_from_the_brokers_other_clients(mosquitto):  # noqa: F811
    broker = mosquitto()
    other = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="other", protocol=mqtt.MQTTv311, clean_session=False)
    came = []
    other.on_message = lambda _, __, message: came.append(message.payload)
    other.connect("127.0.0.1", broker.port)
    other.subscribe("a/#", qos=1)
    other.loop_start()
    with Talk(broker, lambda: [("a/b/salt", '{"salinity": 8}')]) as talk:
        for _ in range(3):
            probe(broker, "--messages", "3", "--topic", "a/{station}/salt", "-o", "csv")
    said = len(talk.sender.acked)
    wait_for("every message", lambda: len(came) >= said)
    other.loop_stop()


def test_each_format_and_its_sender_is_told(mosquitto):  # noqa: F811
    broker = mosquitto()
    now = int(time.time())
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(now + 7 * 3600))
    naive = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now + 7 * 3600))
    uplink = {"deviceInfo": {"devEui": "24e124136b502217"}, "object": {"ec": 1.2}}
    messages = {
        "stations/s1/readings": (json.dumps({"time": now, "values": {"salinity": 8.85}}), "json", None),
        "a/s2/senml": (json.dumps([{"bn": "x:", "n": "salinity", "u": "g/L", "v": 8.85}]), "senml-json", None),
        "a/s3/line": (f"water,station=s3 salinity=8.85 {now}000000000", "line-protocol", "s3"),
        "a/s4/c10": (f"Sal\t8.85\tg/L\t{stamp}\t00\r\n", "circular-10", None),
        "a/s5/table": (f"time,salinity\n{naive},8.85\n", "table", None),
        "application/7/device/24e124136b502217/event/up": (json.dumps(uplink), "chirpstack", "24e124136b502217"),
    }
    with Talk(broker, lambda: [(topic, said[0]) for topic, said in messages.items()]):
        done = probe(broker, "--for", "1500ms", "-o", "json", "--station", "s4")
    rows = {row["topic"]: row for row in json.loads(done.stdout)}
    assert {topic: (row["format"], row["sender"]) for topic, row in rows.items()} == {
        topic: said[1:] for topic, said in messages.items()}
    assert rows["a/s4/c10"]["station"] == "s4" and rows["stations/s1/readings"]["station"] == "s1"
    assert all(row["ours"] == 8.85 for topic, row in rows.items() if topic.startswith("a/"))
    table = probe_table(broker, messages)
    assert table.splitlines()[0].split()[:4] == ["TOPIC", "STATION", "SENDER", "FORMAT"]


def probe_table(broker, messages):
    with Talk(broker, lambda: [(topic, said[0]) for topic, said in messages.items()]):
        return probe(broker, "--messages", "6").stdout


def test_what_is_retained_and_says_no_time_is_told(mosquitto):  # noqa: F811
    broker = mosquitto()
    sender = Sender(broker)
    sender.publish("tg/s1/data", '{"values": {"salinity": 8}}', retain=True).wait_for_publish(10)
    sender.close()
    rows = json.loads(probe(broker, "--messages", "1", "--topic", "tg/{station}/data", "-o", "json").stdout)
    assert rows[0]["retained"] is True and rows[0]["why"].startswith("bad_time")


def test_what_goes_wrong_is_told_with_its_code(mosquitto, tmp_path):  # noqa: F811
    certificate(tmp_path)
    probed = probe(f"mqtt://127.0.0.1:{free_port()}", code=75)
    assert "cannot be reached" in probed.stderr and "refused" in probed.stderr and probed.stdout == ""
    broker = mosquitto(tls=True, login=True)
    (tmp_path / "wrong").write_text("wrong\n")
    ca = ["--tls-ca-file", str(tmp_path / "cert.pem")]
    for version in ["3.1.1", "5"]:
        wrong = probe(broker, *ca, "--user", "saltline", "--password-file", str(tmp_path / "wrong"), "--mqtt-version", version,
                      scheme="mqtts", code=1)
        assert "turned us away" in wrong.stderr, wrong.stderr
    assert "turned us away" in probe(broker, *ca, scheme="mqtts", code=1).stderr
    (tmp_path / "other").mkdir()
    certificate(tmp_path / "other")
    assert "TLS" in probe(broker, "--tls-ca-file", str(tmp_path / "other/cert.pem"), scheme="mqtts", code=1).stderr
    assert "TLS" in probe(broker, "--tls-ca-file", str(tmp_path / "wrong"), scheme="mqtts", code=1).stderr
    # Nothing of a password is shown.
    (tmp_path / "password").write_text(PASSWORD)
    login = ["--user", "saltline", "--password-file", str(tmp_path / "password")]
    silent = probe(broker, *ca, *login, "--for", "500ms", scheme="mqtts", code=1)
    assert "nothing came on `#` within 0.5 s" in silent.stderr and PASSWORD not in silent.stderr
    with Talk(broker, lambda: [("tg/s1/data", b"\xff\xfe\x00"), ("tg/s2/data", "{")], user="sender", tls=tmp_path / "cert.pem"):
        unread = probe(broker, *ca, *login, "--for", "1s", "-o", "json", scheme="mqtts", code=1)
    assert {row["format"] for row in json.loads(unread.stdout)} == {None}
    assert "none of our formats" in unread.stderr
    for words in [["mqtt://u:p@h"], ["http://h"], ["mqtt://h", "--topic", "a/#/b"], ["mqtt://h", "--mqtt-version", "4"],
                  ["mqtt://h", "--password-file", "x"], ["mqtt://h", "--user", "x", "--password-file", str(tmp_path / "none")],
                  ["mqtt://h", "--tls-ca-file", "x"], ["mqtt://h", "--for", "0s"]]:
        probe(*words, code=2)


def test_where_no_level_is_the_stations_nothing_is_written(mosquitto, tmp_path):  # noqa: F811
    broker = mosquitto()
    with Talk(broker, lambda: [("data", '{"values": {"salinity": 8}}')]):
        for flag in ["--upstream", "--profile"]:
            file = tmp_path / flag.strip("-")
            done = probe(broker, "--messages", "1", flag, str(file), code=1)
            assert "--station CODE" in done.stderr and not file.exists()
