"""Who may hear of a warning and who may ask something of a station: a token of MQTT, those on duty, those who only
look, and everybody else."""

import json
import time
import urllib.error
import urllib.request

import pytest

from conftest import RULES, wait_for
from test_access import Client, cli
from test_contract import Person

WARNING = "warnings/xuan-hoa/salinity"


def report(client, salinity):
    assert client.publish("stations/xuan-hoa/readings", json.dumps({"values": {"salinity": salinity}})) == 0


def board(saltline, token, client_id):
    """Somebody with the token who hears of warnings, and what is retained for them."""
    client = Client(saltline.mqtt, "board", token, client_id=client_id)
    assert client.welcome and client.subscribe("warnings/#") == 1
    return client


def warnings(client):
    return [json.loads(payload) if payload else None for topic, payload in client.messages if topic == WARNING]


@pytest.mark.parametrize("way", ["the water is safe again", "the rule is removed"])
def test_a_warning_that_is_over_is_taken_away_from_who_is_here_and_who_comes_later(engine, way):
    saltline = engine()
    saltline.cli("station", "list")
    key = saltline.station("xuan-hoa", "--interval", "1h")
    saltline.pack(rules__toml=RULES)
    saltline.start()
    token = cli(saltline, "token", "add", "board", "--grant", "read:warnings/#")["token"]
    other = cli(saltline, "token", "add", "other", "--grant", "read:latest/#")["token"]
    here, station = board(saltline, token, "here"), Client(saltline.mqtt, "xuan-hoa", key)
    for salinity in (0.5, 0.9, 1.2):
        report(station, salinity)
    said = wait_for("the warning", lambda: [it for it in warnings(here) if it and it["state"] == "exceed"])[0]
    assert (said["value"], said["rule"]) == (1.2, "intake")
    later = board(saltline, token, "later")
    assert wait_for("what is retained", lambda: warnings(later))[0] == said
    later.close()
    # Who was not granted it neither subscribes to it nor finds it.
    stranger = Client(saltline.mqtt, "other", other)
    assert [stranger.subscribe(topic) for topic in ("warnings/#", WARNING, "#", "latest/#")] == [0x87, 0x87, 0x87, 1]
    if way == "the rule is removed":
        saltline.cli("rule", "remove", "intake")
    else:
        for salinity in (0.95, 0.85, 0.7):
            report(station, salinity)
    wait_for("the end of the warning", lambda: warnings(here)[-1] is None)
    later = board(saltline, token, "later")
    assert later.subscribe("warnings/xuan-hoa/ph") == 1, "an answer, behind which nothing retained could hide"
    time.sleep(0.3)
    assert warnings(later) == []
    assert not [topic for topic, _ in stranger.messages if topic.startswith("warnings/")]
    for client in (here, station, later, stranger):
        client.close()


ASKED = [
    ("POST", "/api/v1/stations/xuan-hoa/commands", {"kind": "reboot"}),
    ("PUT", "/api/v1/stations/xuan-hoa/config", {"interval_s": 60}),
    ("POST", "/api/v1/deadletter/0/replay", {}),
    ("GET", "/api/v1/stations/xuan-hoa/commands", None),
    ("GET", "/api/v1/stations/xuan-hoa/config", None),
    ("GET", "/api/v1/deadletter", None),
    ("GET", "/api/v1/deadletter/0", None),
]


def bare(saltline, method, path, body, **headers):
    """Without a session."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(saltline.http + path, data=data, method=method)
    request.add_header("Content-Type", "application/json")
    for name, value in headers.items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_only_those_on_duty_ask_something_of_a_station_over_http(engine):
    saltline = engine().start()
    key = saltline.station("xuan-hoa")
    station = Client(saltline.mqtt, "xuan-hoa", key)
    assert station.publish("stations/xuan-hoa/readings", "not json") == 0x99
    token = cli(saltline, "token", "add", "all", "--grant", "readwrite:#")["token"]
    operator, viewer = Person(saltline, "truc"), Person(saltline, "xem")
    wait_for("the letter", lambda: operator.ask("GET", "/api/v1/deadletter/0")[0] == 200)
    for method, path, body in ASKED:
        assert bare(saltline, method, path, body) == 401, path
        # What opens the door of MQTT opens nothing here, whatever it was granted there.
        for secret in (key, token, "", operator.csrf):
            assert bare(saltline, method, path, body, Authorization=f"Bearer {secret}") == 401, path
        assert viewer.ask(method, path, body)[0] == 403, path
        if body is not None:
            assert operator.ask(method, path, body, csrf=False)[0] == 403, path
            crossed = operator.ask(method, path, body, csrf=False, X_CSRF_Token=viewer.csrf)
            assert crossed[0] == 403, "the form of another session"
            assert operator.ask(method, path, body, Origin="https://elsewhere.example")[0] == 403, path
    assert cli(saltline, "station", "commands", "xuan-hoa") == []
    assert cli(saltline, "station", "configure", "xuan-hoa")["desired"] is None
    for method, path, body in ASKED:
        assert operator.ask(method, path, body)[0] in (200, 201, 202), path
    assert len(cli(saltline, "station", "commands", "xuan-hoa")) == 1
    # Over MQTT the same is nobody's to publish but the engine's.
    for topic in ("command", "config/desired"):
        assert station.publish(f"stations/xuan-hoa/{topic}", "{}") == 0x87, topic
    station.close()
