"""What a station and the engine owe each other: missing reports come back, commands end in a receipt, refused packets
can be sent in again. The station is paho, the person the command line or HTTP."""

import json
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

import paho.mqtt.client as mqtt
import pytest

from conftest import SIM, wait_for
from test_mqtt import Client

MENDED = """
[[station]]
code = "xuan-hoa"
name = "Xuân Hòa"
interval = "5m"
[[station.field]]
name = "Sal"
parameter = "salinity"
"""

ROLES = {"truc": "operator", "xem": "viewer"}
PASSWORD = "nuoc man vao song"


class Station(Client):
    """A station that hears its commands and its configuration."""

    def __init__(self, engine, code, key):
        super().__init__(engine, code, key)
        self.code = code
        done = []
        self.paho.on_subscribe = lambda c, u, mid, reasons, p: done.append(mid)
        self.paho.subscribe([(f"stations/{code}/command", 1), (f"stations/{code}/config/desired", 1)])
        wait_for("SUBACK", lambda: done)

    def commands(self):
        return [json.loads(m) for topic, m, _ in self.messages if topic.endswith("/command")]

    def desired(self):
        return [json.loads(m) for topic, m, _ in self.messages if topic.endswith("/config/desired") and m]

    def receipt(self, id, state, **more):
        self.publish(f"stations/{self.code}/receipt", {"id": id, "state": state, **more})

    def report(self, seq, at, **more):
        body = {"seq": seq, "time": at, "values": {"salinity": 0.5 + seq / 1000}, **more}
        self.publish(f"stations/{self.code}/readings", body)


class Person:
    """Somebody at the portal, with a session and its token."""

    def __init__(self, engine, name):
        self.engine = engine
        engine.cli("user", "add", name, "--role", ROLES[name], stdin=PASSWORD + "\n")
        body = f"name={name}&password={PASSWORD.replace(' ', '+')}".encode()
        request = urllib.request.Request(engine.http + "/login", data=body, method="POST")
        opener = urllib.request.build_opener(NoRedirect)
        try:
            answer = opener.open(request, timeout=30)
        except urllib.error.HTTPError as redirected:
            answer = redirected
        self.cookie = answer.headers["Set-Cookie"].split(";")[0]
        self.csrf = self.ask("GET", "/api/v1/session")[1]["csrf"]

    def ask(self, method, path, body=None, csrf=True, **headers):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.engine.http + path, data=data, method=method)
        request.add_header("Cookie", self.cookie)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        if csrf and hasattr(self, "csrf"):
            request.add_header("X-CSRF-Token", self.csrf)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                self.headers = answer.headers
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def now(ago_s=0):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago_s))


def letters(engine, *words):
    return json.loads(engine.cli("deadletter", "list", "-o", "json", *words))


def test_a_refused_packet_is_kept_and_goes_in_after_the_profile_is_mended(engine):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    station = Client(saltline, "xuan-hoa", key)
    topic = "stations/xuan-hoa/readings"
    timeless = json.dumps({"values": {"Sal": 8.85}})
    station.publish(topic, timeless)
    station.publish(topic, {"time": "2026-01-01T00:00:00Z", "values": {"Sal": 7.5, "ph": 7.0}})
    station.publish(topic, b"\xff\x00not json")
    came = time.time()
    kept = letters(saltline)
    assert [row["reason"] for row in kept] == ["malformed", "unknown_parameter", "unknown_parameter"]
    assert kept[2]["payload"] == timeless and kept[2]["topic"] == topic
    assert [row["id"] for row in letters(saltline, "--reason", "malformed")] == [2]
    assert letters(saltline, "--station", "my-tho") == [] == letters(saltline, "--since", "2099-01-01T00:00:00Z")
    assert len(letters(saltline, "--since", "1h", "--limit", "2")) == 2
    saltline.cli("deadletter", "list", "--reason", "nonsense", code=2)
    # Not mended yet: it says why, and may be asked again.
    failed = json.loads(saltline.cli("deadletter", "replay", "--id", "0", "-o", "json", code=1))
    assert failed[0]["outcome"] == "failed" and "unknown parameter" in failed[0]["why"]
    saltline.cli("deadletter", "replay", code=2)
    saltline.pack(stations__toml=MENDED)
    time.sleep(1.2)
    received = saltline.metric("saltline_readings_received_total")
    done = json.loads(saltline.cli("deadletter", "replay", "--station", "xuan-hoa", "-o", "json", code=1))
    assert {row["id"]: row["outcome"] for row in done} == {0: "replayed", 1: "replayed", 2: "failed"}
    rows = wait_for("both readings", lambda: len(r := saltline.readings("xuan-hoa", "salinity")) == 2 and r)
    assert [row["value"] for row in rows] == [7.5, 8.85]
    # The packet without a time was taken when it came, not when it was sent in again.
    at = time.mktime(time.strptime(rows[1]["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    assert at <= came
    assert len(letters(saltline)) == 3, "what is still refused is not kept twice"
    assert saltline.metric("saltline_readings_received_total") == received + 3
    # Once in, never again.
    saltline.cli("deadletter", "replay", "--id", "1", code=1)
    assert saltline.metric("saltline_readings_received_total") == received + 3
    wait_for("accounts", lambda: saltline.metric("saltline_readings_duplicate_total") == 1)
    assert saltline.metric("saltline_readings_unaccounted") == 0
    station.close()
    assert saltline.stop() == 0
    # The letters are there without the engine too; nobody sends them in.
    assert [row["replay"] for row in letters(saltline)] == ["failed", "replayed", "replayed"]


def test_an_alarm_of_the_past_is_not_raised_by_a_letter_that_is_sent_in_again(engine):
    saltline = engine().start()
    rules = """
[[rule]]
code = "intake"
name = "Độ mặn lấy nước"
parameter = "salinity"
stations = ["xuan-hoa"]
hold = "0s"
levels = [{ limit = 1.0, clear = 0.8 }]
"""
    saltline.pack(stations__toml=MENDED.replace("Sal", "Other"), rules__toml=rules)
    key = json.loads(saltline.cli("station", "rotate-key", "xuan-hoa", "-o", "json"))["key"]
    station = Client(saltline, "xuan-hoa", key)
    topic = "stations/xuan-hoa/readings"
    states = lambda: [warning["state"] for warning in saltline.get("/api/v1/warnings")]
    wait_for("the rule", lambda: states() == ["unknown"])
    station.publish(topic, {"values": {"Sal": 9.0}})
    station.publish(topic, {"values": {"salinity": 0.2}})
    wait_for("safe", lambda: states() == ["safe"])
    saltline.pack(stations__toml=MENDED, rules__toml=rules)
    time.sleep(1.2)
    saltline.cli("deadletter", "replay", "--all")
    wait_for("the reading", lambda: len(saltline.readings("xuan-hoa", "salinity")) == 2)
    time.sleep(0.5)
    assert states() == ["safe"]
    kinds = [event["kind"] for alert in saltline.get("/api/v1/alerts") for event in alert["events"]]
    assert set(kinds) <= {"backlog"}, kinds
    station.close()


def test_those_on_duty_see_letters_over_http_page_by_page_and_send_one_in(engine):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    station = Client(saltline, "xuan-hoa", key)
    for n in range(5):
        station.publish("stations/xuan-hoa/readings", {"values": {"Sal": n}})
    assert saltline.text("/api/v1/deadletter")[0] == 401
    operator, viewer = Person(saltline, "truc"), Person(saltline, "xem")
    assert viewer.ask("GET", "/api/v1/deadletter")[0] == 403
    seen, path = [], "/api/v1/deadletter?limit=2&station=xuan-hoa"
    while path:
        status, page = operator.ask("GET", path)
        assert status == 200
        seen += [row["id"] for row in page]
        link = re.search(r"<([^>]*)>", operator.headers.get("Link") or "")
        path = link and link.group(1)
    assert seen == [4, 3, 2, 1, 0]
    assert operator.ask("GET", "/api/v1/deadletter?reason=nonsense")[0] == 400
    assert operator.ask("POST", "/api/v1/deadletter/3/replay", {}, csrf=False)[0] == 403
    assert viewer.ask("POST", "/api/v1/deadletter/3/replay", {})[0] == 403
    assert operator.ask("POST", "/api/v1/deadletter/99/replay", {})[0] == 404
    saltline.pack(stations__toml=MENDED)
    time.sleep(1.2)
    status, letter = operator.ask("POST", "/api/v1/deadletter/3/replay", {})
    assert (status, letter["replay"]["state"], letter["replay"]["asked_by"]) == (202, "asked", "truc")
    wait_for("done", lambda: operator.ask("GET", "/api/v1/deadletter/3")[1]["replay"]["state"] == "replayed")
    assert operator.ask("POST", "/api/v1/deadletter/3/replay", {})[0] == 200
    wait_for("the reading", lambda: [r["value"] for r in saltline.readings("xuan-hoa", "salinity")] == [3.0])
    station.close()


def test_a_command_is_sent_accepted_and_done_and_one_without_a_receipt_is_late(engine):
    saltline = engine().start()
    station = Station(saltline, "xuan-hoa", saltline.station("xuan-hoa"))
    made = json.loads(saltline.cli(
        "station", "command", "xuan-hoa", "calibrate", "--arg", "sensor=ph", "--arg", "at=7.01", "-o", "json"))
    assert made["state"] == "made" and made["made_by"] == "cli"
    command = wait_for("the command", station.commands)[0]
    assert (command["kind"], command["sensor"], command["at"]) == ("calibrate", "ph", 7.01)
    assert command["id"] == made["id"] and command["expires"] == made["expires"]

    def state(id=made["id"]):
        rows = json.loads(saltline.cli("station", "commands", "xuan-hoa", "-o", "json"))
        return next((row["state"], row["why"]) for row in rows if row["id"] == id)

    wait_for("sent", lambda: state() == ("sent", ""))
    station.receipt(command["id"], "accepted")
    wait_for("accepted", lambda: state()[0] == "accepted")
    station.receipt("somebody-elses", "done")
    station.publish("stations/xuan-hoa/receipt", b"not json")
    station.receipt(command["id"], "done", why="offset +0.03")
    wait_for("done", lambda: state() == ("done", "offset +0.03"))
    station.receipt(command["id"], "accepted")
    # Nobody answers this one.
    late = json.loads(saltline.cli("station", "command", "xuan-hoa", "reboot", "--expires", "2s", "-o", "json"))
    wait_for("late", lambda: state(late["id"])[0] == "late", seconds=10)
    assert state()[0] == "done", "a receipt that was overtaken moves nothing"
    text = saltline.cli("station", "command", "xuan-hoa", "reboot", "--expires", "1s", "--wait", code=1)
    assert "late" in text
    assert saltline.metric("saltline_said_unheard_total") == 3
    for words in [("nobody", "reboot"), ("xuan-hoa", "re/boot"), ("xuan-hoa", "x", "--arg", "id=1")]:
        saltline.cli("station", "command", *words, code=1)
    station.close()


def test_a_receipt_that_was_acknowledged_survives_the_kill_and_a_command_waits_for_who_is_away(engine):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    station = Station(saltline, "xuan-hoa", key)
    made = json.loads(saltline.cli("station", "command", "xuan-hoa", "reboot", "-o", "json"))
    wait_for("the command", station.commands)
    station.receipt(made["id"], "done")  # returns when PUBACK came
    saltline.kill()
    station.close()
    away = json.loads(saltline.cli("station", "command", "xuan-hoa", "resend", "--arg", "from_seq=1", "--arg",
                                   "to_seq=2", "-o", "json"))
    saltline.start()

    def state(id):
        rows = json.loads(saltline.cli("station", "commands", "xuan-hoa", "-o", "json"))
        return next(row["state"] for row in rows if row["id"] == id)

    wait_for("done", lambda: state(made["id"]) == "done")
    wait_for("sent", lambda: state(away["id"]) == "sent")
    # Sent to nobody: it comes again when the station says that it is there.
    station = Station(saltline, "xuan-hoa", key)
    assert station.commands() == []
    station.publish("stations/xuan-hoa/state", "online", retain=True)
    assert wait_for("the command", station.commands)[0]["id"] == away["id"]
    station.close()


def test_a_configuration_is_wanted_told_and_compared(engine, tmp_path):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    wanted = tmp_path / "wanted.toml"
    wanted.write_text('interval_s = 300\n[sensor]\nph = "7.01"\n')
    show = lambda *words: json.loads(saltline.cli("station", "configure", "xuan-hoa", *words, "-o", "json"))
    assert show()["in_sync"] is None
    asked = show(str(wanted))
    assert asked["in_sync"] is False and asked["differs_since"]
    saltline.kill()
    saltline.start()
    # Retained: told to who comes later, after a kill as well.
    wait_for("published", lambda: saltline.metric("saltline_configs_differ") == 1)
    station = Station(saltline, "xuan-hoa", key)
    told = wait_for("the configuration", station.desired)[0]
    assert told["config"] == {"interval_s": 300, "sensor": {"ph": "7.01"}} and told["hash"] == asked["desired_hash"]
    station.publish("stations/xuan-hoa/config/reported", told, retain=True)
    wait_for("in sync", lambda: show()["in_sync"])
    assert show("interval_s=60", "sensor=")["desired"] == {"interval_s": 60}
    told = wait_for("the change", lambda: len(station.desired()) == 2 and station.desired())[1]
    station.publish("stations/xuan-hoa/config/reported", {"hash": told["hash"], "config": told["config"]})
    wait_for("in sync", lambda: show()["in_sync"] and show()["differs_since"] is None)
    operator = Person(saltline, "truc")
    path = "/api/v1/stations/xuan-hoa/config"
    status, said = operator.ask("PUT", path, {"interval_s": 30})
    assert (status, said["in_sync"], said["desired_by"]) == (200, False, "truc")
    assert operator.ask("PUT", path, {"x": "y" * 9000})[0] == 422
    assert operator.ask("PUT", path, [1])[0] in (400, 422)
    assert operator.ask("GET", "/api/v1/stations/nobody/config")[0] == 404
    station.close()


def test_a_command_over_http_is_made_once_for_one_key(engine):
    saltline = engine().start()
    station = Station(saltline, "xuan-hoa", saltline.station("xuan-hoa"))
    operator, viewer = Person(saltline, "truc"), Person(saltline, "xem")
    path, body = "/api/v1/stations/xuan-hoa/commands", {"kind": "reboot", "expires_s": 60}
    assert viewer.ask("POST", path, body)[0] == 403
    assert operator.ask("POST", path, body, csrf=False)[0] == 403
    status, made = operator.ask("POST", path, body, Idempotency_Key="k1")
    assert status == 201 and operator.headers["Location"].endswith(made["id"])
    assert operator.ask("POST", path, body, Idempotency_Key="k1")[1]["id"] == made["id"]
    assert operator.ask("POST", path, {"kind": "other"}, Idempotency_Key="k1")[0] == 422
    wait_for("the command", station.commands)
    station.receipt(made["id"], "failed", why="battery low")
    ends = lambda: operator.ask("GET", f"{path}/{made['id']}")[1]
    assert wait_for("failed", lambda: ends()["state"] == "failed" and ends())["why"] == "battery low"
    assert [row["id"] for row in operator.ask("GET", path)[1]] == [made["id"]]
    assert len(station.commands()) == 1
    for bad in [{}, {"kind": "x", "expires_s": 0}, {"kind": "X Y"}, {"kind": "x", "more": 1}]:
        assert operator.ask("POST", path, bad)[0] in (400, 422), bad
    assert operator.ask("POST", "/api/v1/stations/nobody/commands", body)[0] == 404
    station.close()


def test_a_gap_is_named_asked_for_and_filled(engine):
    saltline = engine(engine={"gap_settle": "3s"}).start()
    key = saltline.station("xuan-hoa")
    station = Station(saltline, "xuan-hoa", key)
    at = lambda seq: now((20 - seq) * 300)
    for seq in (1, 2, 6, 7, 9):
        station.report(seq, at(seq))
    gaps = lambda: saltline.get("/api/v1/gaps")
    said = wait_for("the gap", lambda: len(g := gaps()) == 1 and g[0]["missing"] == 4 and g)[0]
    assert [(r["from_seq"], r["to_seq"]) for r in said["ranges"]] == [(3, 5), (8, 8)]
    assert saltline.get("/api/v1/stations/xuan-hoa")["gaps"]["missing"] == 4
    assert "Còn thiếu" in saltline.text("/s/xuan-hoa")[1]
    assert saltline.stop() == 0
    saltline.start()
    assert saltline.get("/api/v1/gaps")[0]["missing"] == 4, "a restart forgets no gap"
    station.close()
    station = Station(saltline, "xuan-hoa", key)
    station.report(10, at(10))
    for seq in (8, 4, 3):
        station.report(seq, at(seq), replay=True)
    wait_for("filled", lambda: saltline.get("/api/v1/gaps")[0]["missing"] == 1)
    # For a while nothing fills the rest, and the engine asks.
    asked = wait_for("the question", station.commands, seconds=30)[0]
    assert (asked["kind"], asked["from_seq"], asked["to_seq"]) == ("resend", 5, 5)
    station.receipt(asked["id"], "accepted")
    station.report(5, at(5), replay=True)
    station.receipt(asked["id"], "done")
    wait_for("none missing", lambda: saltline.get("/api/v1/gaps") == [])
    assert saltline.metric("saltline_gaps_filled_total") == 4
    assert saltline.get("/api/v1/stations/xuan-hoa")["gaps"]["given_up"] == 0
    station.close()
