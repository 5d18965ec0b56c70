"""A disk whose syncs fail or take long, a clock that jumps: nothing acknowledged is missing, and it is said."""

import itertools
import json
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from conftest import wait_for
from faults import Faults
from test_clocks import push, report

START = 1_767_225_600  # 2026-01-01T00:00:00Z
YEAR = 365 * 86400


@pytest.fixture
def faults(tmp_path):
    return Faults(tmp_path)


def disturbed(engine, faults, **sections):
    saltline = engine(**sections)
    saltline.env = faults.env
    saltline.key = saltline.station("xuan-hoa")
    return saltline.start()


def send(saltline, numbers):
    """Readings of a (virtual) minute each, in one push, acknowledged."""
    lines = "\n".join(report(START + n * 60, replay=True, salinity=n / 1000) for n in numbers)
    assert push(saltline, "xuan-hoa", saltline.key, lines, "application/x-ndjson")[0] == 202


def stored(saltline):
    return [round(row["value"] * 1000) for row in saltline.readings("xuan-hoa", "salinity")]


def verified(saltline):
    """What is on disk is what the journal says."""
    saltline.stop()
    saltline.cli("store", "verify")


@pytest.mark.parametrize("of_what", [".parquet.tmp", "/manifest.tmp", "/history"])
def test_history_that_cannot_be_synced_is_kept_read_and_written_when_it_can(engine, faults, of_what):
    saltline = disturbed(engine, faults, history={"tail_readings_max": 100})
    send(saltline, range(100))
    wait_for("a first file", lambda: saltline.metric("saltline_history_sealed_total") >= 100)
    faults.syncs_fail(of_what)
    send(saltline, range(100, 230))
    wait_for("seals that fail", lambda: saltline.metric("saltline_history_seal_failed_total") >= 2)
    assert faults.failed >= 2
    wait_for("all to be read", lambda: stored(saltline) == list(range(230)))
    assert "cannot seal; the tail stays" in saltline.log.read_text()
    # Neither an orderly stop nor a power cut with that disk loses what history could not write: the journal has it.
    for end in (saltline.stop, saltline.kill):
        end()
        saltline.start()
        wait_for("all to be read again", lambda: stored(saltline) == list(range(230)))
    # More than memory may hold is acknowledged, and waits in the journal.
    send(saltline, range(230, 400))
    wait_for("no more room", lambda: saltline.metric("saltline_history_full_total") > 0)
    faults.syncs_fail()
    before = saltline.metric("saltline_history_sealed_total")
    wait_for("the seal", lambda: saltline.metric("saltline_history_sealed_total") > before)
    wait_for("all of it", lambda: stored(saltline) == list(range(400)))
    verified(saltline)
    assert not list((saltline.data / "history").glob("*.tmp"))


def test_a_merge_that_cannot_be_synced_leaves_the_files_as_they_are(engine, faults):
    saltline = disturbed(engine, faults, history={"tail_readings_max": 50})
    for n in range(7):
        send(saltline, range(50 * n, 50 * n + 50))
        wait_for("a file", lambda: saltline.metric("saltline_history_sealed_files") == n + 1)
    send(saltline, range(350, 400))
    # The eighth file's own name is synced; what is made of all eight is not.
    faults.syncs_fail("000008.parquet.tmp")
    wait_for("a merge that fails", lambda: saltline.metric("saltline_history_merge_failed_total") >= 1)
    assert saltline.metric("saltline_history_sealed_files") == 8 and stored(saltline) == list(range(400))
    assert "cannot merge; the files stay as they are" in saltline.log.read_text()
    faults.syncs_fail()
    send(saltline, range(400, 450))
    wait_for("the merge", lambda: saltline.metric("saltline_history_merged_total") >= 400)
    assert stored(saltline) == list(range(450))
    verified(saltline)


def test_after_a_failed_sync_of_the_journal_nothing_is_acknowledged_and_the_engine_ends(engine, faults):
    saltline = disturbed(engine, faults)
    acked, sent = [], {}
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="xuan-hoa", protocol=mqtt.MQTTv311)
    client.username_pw_set("xuan-hoa", saltline.key)
    client.on_publish = lambda c, u, mid, reason, properties: acked.append(mid)
    client.connect("127.0.0.1", saltline.mqtt)
    client.loop_start()

    def say(n):
        body = json.dumps({"time": (START + n * 60) * 1000, "replay": True, "values": {"salinity": n / 1000}})
        sent[client.publish("stations/xuan-hoa/readings", body, qos=1).mid] = n

    for n in range(20):
        say(n)
    wait_for("the first PUBACKs", lambda: len(acked) == 20)
    faults.syncs_fail(".seg")
    for n in range(20, 40):
        say(n)
    assert saltline.process.wait(20) != 0, "it goes on"
    client.loop_stop()
    assert faults.failed >= 1 and len(acked) == 20, "a report was acknowledged that no disk has"
    assert "nothing is acknowledged any more" in saltline.log.read_text()
    faults.syncs_fail()
    saltline.start()
    wait_for("what was acknowledged", lambda: set(stored(saltline)) >= {sent[mid] for mid in acked})
    assert len(stored(saltline)) == len(set(stored(saltline)))
    verified(saltline)


def test_a_slow_disk_is_told_and_what_can_wait_waits(engine, faults):
    saltline = disturbed(engine, faults, data={"slow": "700ms"}, history={"tail_readings_max": 20})
    state = lambda: saltline.metric("saltline_disk_state")
    send(saltline, range(10))
    assert state() == 0
    faults.syncs_take(0.9, "/journal/")
    began = time.monotonic()
    send(saltline, range(10, 12))
    assert time.monotonic() - began > 0.9, "acknowledged before its sync"
    wait_for("the warning", lambda: state() == 1)
    line, = [json.loads(line) for line in saltline.log.read_text().splitlines() if "the disk is bad" in line]
    assert (line["state"], line["level"]) == ("slow", "WARN") and line["slowest"] > 0.9
    assert faults.slowed >= 1
    # Readings are taken and seen, files are written (the journal may not grow for ever), nothing is merged.
    files = saltline.metric("saltline_history_sealed_files")
    for n in range(9):
        send(saltline, range(100 + 20 * n, 120 + 20 * n))
        wait_for("a file", lambda: saltline.metric("saltline_history_sealed_files") > files + n)
    wait_for("all readings", lambda: len(stored(saltline)) == 12 + 180)
    assert saltline.metric("saltline_history_merged_total") == 0
    assert saltline.text("/-/ready")[0] == 200
    # A minute after the last slow sync all is as before. Nobody waits for it here: the clock says that it has passed,
    # and says it again where a sync that was under way, or the disk of this machine, was slow once more.
    faults.syncs_take(0, "")
    minutes = itertools.count(2, 2)

    def well():
        if state() == 0:
            return True
        faults.clock(60 * next(minutes))
        return False

    wait_for("a good disk", well, pause=0.5)
    send(saltline, range(1000, 1020))
    wait_for("a merge", lambda: well() and saltline.metric("saltline_history_merged_total") > 0, pause=0.2)
    wait_for("the last readings", lambda: len(stored(saltline)) == 12 + 180 + 20)
    verified(saltline)


@pytest.mark.parametrize("years", [10, -3])
def test_a_clock_that_jumps_and_comes_back_loses_no_reading_and_doubles_none(engine, faults, years):
    """As a machine without a battery starts in the past, or a time server is wrong for a while."""
    saltline = disturbed(engine, faults, history={"tail_readings_max": 100}, journal={"segment": "64KiB"})
    send(saltline, range(150))
    wait_for("a file", lambda: saltline.metric("saltline_history_sealed_total") >= 100)
    faults.clock(years * YEAR)
    # A station whose clock is right comes with what the engine takes for years old, or for the future.
    lines = "\n".join(report(START + n * 60, replay=True, salinity=n / 1000) for n in range(150, 300))
    status, answer = push(saltline, "xuan-hoa", saltline.key, lines, "application/x-ndjson")
    taken = status == 202
    assert taken or "ahead" in json.dumps(answer), answer
    known = list(range(300 if taken else 150))
    wait_for("what was taken", lambda: stored(saltline) == known)
    saltline.kill()
    saltline.start()
    wait_for("it after a power cut", lambda: stored(saltline) == known)
    faults.clock(0)
    send(saltline, range(300, 450))
    known += range(300, 450)
    wait_for("all of it", lambda: stored(saltline) == known)
    # The same again is a duplicate, whenever it came first.
    send(saltline, range(100, 400))
    known = sorted({*known, *range(100, 400)})
    wait_for("no more than that", lambda: stored(saltline) == known)
    saltline.kill()
    saltline.start()
    wait_for("it after another one", lambda: stored(saltline) == known)
    # What was known at a moment goes by when it came, as the clock said then: docs/operating/reading.md.
    ask = "/api/v1/stations/xuan-hoa/readings?parameter=salinity&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z&as_of="
    as_of = lambda seconds: saltline.get(ask + time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)))["readings"]
    assert len(as_of(time.time() + 60)) == len(known) - (150 if years > 0 else 0)
    assert len(as_of(time.time() + 60 + max(0, years) * YEAR)) == len(known)
    verified(saltline)
