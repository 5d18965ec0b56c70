"""From a report to a keeper's phone: a real SMTP server (aiosmtpd) and a real SMSC (npm smpp)."""

import datetime
import json

import paho.mqtt.client as mqtt
import pytest

from conftest import ROSTER, RULES, SHARED, SIM, wait_for
from test_mqtt import Client


def whole(engine, smsc, mailbox):
    saltline = engine(
        channels__email={"url": f"smtp://saltline:secret@127.0.0.1:{mailbox.port}", "from": "saltline@example.org"},
        channels__sms={"url": f"smpp://saltline:secret@127.0.0.1:{smsc.port}", "from": "SALTLINE"},
    )
    saltline.cli("station", "list")
    key = saltline.station("xuan-hoa", "--name", "Xuân Hòa", "--interval", "1h")
    saltline.pack(rules__toml=RULES, roster__toml=ROSTER)
    saltline.start()
    return saltline, Client(saltline, "xuan-hoa", key, mqtt.MQTTv5)


def say(client, salinity):
    client.publish("stations/xuan-hoa/readings", {"values": {"salinity": salinity}})


def test_a_warning_reaches_phone_and_mailbox_once_and_the_all_clear_too(engine, smsc, mailbox):
    smsc.start(), mailbox.start()
    saltline, client = whole(engine, smsc, mailbox)
    for salinity in (0.5, 0.9, 1.2, 1.3, 0.95, 1.1):
        say(client, salinity)
    sms = wait_for("the SMS", smsc.sms)[0]
    assert "Xuan Hoa" in sms["text"] and "1,2" in sms["text"] and len(sms["text"]) <= 160
    assert sms["to"].endswith("84900000001") and sms["receipt"] == 1
    mail = wait_for("the e-mail", lambda: mailbox.messages)[0]
    assert "Xuân Hòa" in mail["subject"] + mail["body"] and mail["to"] == ["duty@example.org"]
    for salinity in (0.85, 0.7):
        say(client, salinity)
    wait_for("the all-clear", lambda: len(smsc.sms()) == 2 and len(mailbox.messages) == 2)
    alerts = saltline.get("/api/v1/alerts")
    assert [alert["state"] for alert in alerts] == ["cleared"]
    client.close()
    saltline.stop()
    saltline.start()
    saltline.stop()
    assert len(smsc.sms()) == 2 and len(mailbox.messages) == 2, "a restart rang again"


def test_a_notice_waits_for_a_channel_that_is_away_and_is_sent_once(engine, smsc, mailbox):
    saltline, client = whole(engine, smsc, mailbox)
    say(client, 0.5)
    say(client, 2.0)
    wait_for("a first attempt", lambda: saltline.metric("saltline_channel_pauses_total") >= 1, 30)
    saltline.kill()
    saltline.start()
    smsc.start(), mailbox.start()
    wait_for("both messages", lambda: smsc.sms() and mailbox.messages, 90)
    client.close()
    saltline.stop()
    saltline.start()
    saltline.stop()
    assert len(smsc.sms()) == 1 and len(mailbox.messages) == 1
    assert smsc.sms()[0]["text"].count("2") >= 1


def test_an_smsc_that_throttles_gets_the_message_later_and_once(engine, smsc, mailbox):
    smsc.start(), mailbox.start()
    smsc.throttle(2)
    saltline, client = whole(engine, smsc, mailbox)
    say(client, 0.5)
    say(client, 1.5)
    wait_for("the SMS", smsc.sms, 90)
    client.close()
    saltline.stop()
    assert len(smsc.sms()) == 1


def test_a_real_record_comes_in_value_by_value_and_its_exceedance_is_told(engine, smsc, mailbox):
    """The Skinner Mill record of the Wells reserve (NOAA NERRS), 2019, with its gaps and failing sensors."""
    record = SHARED / "data/series/welsm_2019.parquet"
    if not record.exists():
        pytest.skip(f"{record} is not here")
    import subprocess

    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    smsc.start(), mailbox.start()
    saltline, client = whole(engine, smsc, mailbox)
    client.close()
    key = json.loads(saltline.cli("station", "rotate-key", "xuan-hoa", "-o", "json"))["key"]
    done = subprocess.run(
        [SIM, "replay", record, "--mqtt", f"127.0.0.1:{saltline.mqtt}", "--station", "xuan-hoa", "--key", key, "--flat-out"],
        capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.strip().splitlines()[-1])
    table = pq.read_table(record)
    names = {"salinity": "salinity", "spcond25": "conductivity_25", "water_temp": "water_temperature", "ph": "ph",
             "do": "dissolved_oxygen", "turbidity": "turbidity"}
    checked = 0
    for theirs, ours in names.items():
        rows = table.filter(pc.equal(table["parameter"], theirs))
        expected = {
            int(at.timestamp() * 1000): value
            for at, value in zip(rows["time_utc"].to_pylist(), rows["value"].to_pylist())
        }
        wait_for(theirs, lambda: len(saltline.readings("xuan-hoa", ours)) == len(expected), 60, 0.5)
        stored = {millis(row["time"]): row["value"] for row in saltline.readings("xuan-hoa", ours)}
        assert stored == expected, f"{theirs} differs"
        checked += len(stored)
    print(f"{checked} values of {len(table)} rows checked one by one; the simulator said {said}")
    assert said["acked"] == said["reports"]
    mail = wait_for("the e-mail", lambda: mailbox.messages, 60)
    limit = table.filter(pc.and_(pc.equal(table["parameter"], "salinity"), pc.greater_equal(table["value"], 1.0)))
    first = min(limit["time_utc"].to_pylist())
    alerts = saltline.get("/api/v1/alerts")
    taken = [event["taken_at"] for alert in alerts for event in alert["events"]]
    assert min(map(millis, taken)) == int(first.timestamp() * 1000), "not told where the record crosses the limit"
    assert mail and not smsc.sms(), "a phone must not ring for the past"
    assert saltline.metric("saltline_readings_unaccounted") == 0
    saltline.stop()


def millis(text):
    at = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(at.timestamp() * 1000)
