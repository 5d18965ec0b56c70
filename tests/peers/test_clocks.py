"""Stations whose clocks are wrong: how far is told, what cannot be believed is kept and mended in bulk."""

import json
import time
import urllib.request

from conftest import wait_for
from test_contract import Person

NOW = int(time.time())


def push(saltline, code, key, body, kind="application/json"):
    """What a push is answered with, refused or not."""
    request = urllib.request.Request(f"{saltline.http}/api/v1/stations/{code}/readings", data=body.encode(), method="POST", headers={
        "Authorization": f"Bearer {key}", "Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def report(at, replay=False, **values):
    return json.dumps({"time": at, "replay": replay, "values": values})


def test_how_far_a_clock_is_off_is_told_also_where_its_reports_are_refused(engine):
    saltline = engine()
    fast, lost, silent = (saltline.station(code) for code in ("fast", "lost", "silent"))
    saltline.start()
    for n in range(5):
        assert push(saltline, "fast", fast, report(time.time() + 120 - n / 10, ph=7))[0] == 202
        assert push(saltline, "lost", lost, report(1000 + n, ph=7))[0] == 422
        assert push(saltline, "silent", silent, json.dumps({"values": {"ph": 7}}))[0] == 202
    # A backlog says nothing of the clock, and one wild stamp does not either.
    assert push(saltline, "fast", fast, report(time.time() - 86400, replay=True, ph=7))[0] == 202
    assert push(saltline, "fast", fast, report(time.time() + 290, ph=7))[0] == 202
    clock = lambda code: saltline.get(f"/api/v1/stations/{code}")["clock"]
    said = wait_for("the clock", lambda: (it := clock("fast")) and it["reports"] == 6 and it)
    assert 118 < said["offset_s"] < 121, said
    assert -NOW - 1000 < clock("lost")["offset_s"] < 1010 - NOW
    assert clock("silent") is None
    assert "Đồng hồ của trạm nhanh 1 phút" in saltline.text("/s/fast")[1] or "nhanh 2 phút" in saltline.text("/s/fast")[1]
    assert "bản tin đến trễ" in saltline.text("/s/lost")[1] and "Đồng hồ" not in saltline.text("/s/silent")[1]
    assert saltline.stop() == 0
    show = lambda code: json.loads(saltline.cli("station", "show", code, "-o", "json"))
    assert 118 < show("fast")["clock_offset_s"] < 121 and show("silent")["clock_offset_s"] is None
    saltline.start()
    assert 118 < clock("fast")["offset_s"] < 121, "a restart forgets it not"
    assert wait_for("the metric", lambda: saltline.metric("saltline_station_clocks_off") == 2)


def test_what_a_lost_clock_said_is_kept_and_goes_in_with_its_right_time(engine):
    saltline = engine()
    lost, ahead, good = (saltline.station(code) for code in ("lost", "ahead", "good"))
    saltline.start()
    for n in range(4):
        assert push(saltline, "lost", lost, report(5 + 60 * n, ph=7 + n / 10))[0] == 422
    mixed = json.dumps([json.loads(report(NOW - 60, salinity=1)), json.loads(report(NOW + 86400, salinity=2))])
    status, said = push(saltline, "ahead", ahead, mixed)
    assert status == 422 and said["stored"] == 1 and said["refused"][0]["reason"] == "in_future"
    assert push(saltline, "good", good, report(NOW, phh=7))[0] == 422
    saltline.kill()
    saltline.start()
    replay = lambda *words, code=0: saltline.cli("deadletter", "replay", *words, "-o", "json", code=code)
    assert "--shift" in saltline.cli("deadletter", "replay", "--help")
    replay("--shift", "soon", "--all", code=2)
    # A shift that leads nowhere is refused again, and the letters stay.
    rows = json.loads(replay("--station", "lost", "--shift", "5m", code=1))
    assert len(rows) == 4 and all(row["outcome"] == "failed" and "too_old" in row["why"] for row in rows)
    operator, letter = Person(saltline, "truc"), json.loads(saltline.cli("deadletter", "list", "--station", "ahead", "-o", "json"))[0]
    path = f"/api/v1/deadletter/{letter['id']}"
    assert [operator.ask("POST", f"{path}/replay?{it}")[0] for it in ("shift_s=x", "shift_s=1e12", "shift_s=NaN", "by=5")] == [400] * 4
    assert operator.ask("POST", f"{path}/replay?shift_s=-86400")[0] == 202
    wait_for("it went in", lambda: operator.ask("GET", path)[1]["replay"]["state"] == "replayed")
    replay("--station", "ahead", "--shift", "-24h", code=1)
    rows = json.loads(replay("--station", "lost", "--shift", "auto"))
    assert len(rows) == 4 and len({row["shift_s"] for row in rows}) == 1
    stored = lambda code, parameter: wait_for("readings", lambda: saltline.readings(code, parameter))
    wait_for("all four", lambda: len(stored("lost", "ph")) == 4)
    times = [row["time"] for row in stored("lost", "ph")]
    letters = json.loads(saltline.cli("deadletter", "list", "--station", "lost", "-o", "json"))
    # The last was taken when it came, the others a minute before each other.
    assert times[-1] == letters[0]["time"], (times, letters)
    seconds = [time.mktime(time.strptime(it[:19], "%Y-%m-%dT%H:%M:%S")) for it in times]
    assert [round(b - a) for a, b in zip(seconds, seconds[1:])] == [60, 60, 60]
    # What was believed at once is not moved, and not stored twice.
    assert [row["value"] for row in stored("ahead", "salinity")] == [1, 2] or wait_for(
        "both", lambda: [row["value"] for row in saltline.readings("ahead", "salinity")] == [1, 2])
    # Another reason is not touched by a shift, unless it is asked for.
    replay("--station", "good", "--shift", "auto", code=1)
    assert json.loads(saltline.cli("deadletter", "list", "--station", "good", "-o", "json"))[0]["replay"] is None
    assert wait_for("accounts", lambda: saltline.metric("saltline_readings_unaccounted") == 0)


STATIONS = """
[[station]]
code = "hanoi"
name = "Giờ Việt Nam"
interval = "5m"
utc_offset = "+07:00"

[[station.field]]
name = "SpCond"
parameter = "conductivity"
scale = 0.001
ec = "25"

[[station.field]]
name = "WT"
parameter = "water_temperature"

[[station]]
code = "nowhere"
name = "Không múi giờ"
interval = "5m"
"""


def test_the_profile_names_the_zone_and_what_a_conductivity_is_referred_to(engine):
    saltline = engine()
    saltline.pack(stations__toml=STATIONS)
    keys = {code: json.loads(saltline.cli("station", "rotate-key", code, "-o", "json"))["key"] for code in ("hanoi", "nowhere")}
    saltline.start()
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(NOW - 60 + 7 * 3600))
    table = f"time,SpCond,WT\n{at},10000,30\n"
    assert push(saltline, "hanoi", keys["hanoi"], table, "text/csv")[0] == 202
    status, said = push(saltline, "nowhere", keys["nowhere"], table, "text/csv")
    assert status == 422 and said["refused"][0]["reason"] == "no_offset"
    row = wait_for("a reading", lambda: saltline.readings("hanoi", "conductivity"))[0]
    assert row["time"].startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOW - 60)))
    assert abs(row["value"] - 10.955) < 1e-6
    # Referred to 25 °C it is not as measured without the temperature.
    status, said = push(saltline, "hanoi", keys["hanoi"], report(NOW, SpCond=10000))
    assert status == 422 and said["refused"][0]["reason"] == "wrong_unit" and "temperature" in said["refused"][0]["detail"]
    # The letter of the other goes in when its profile says the zone.
    saltline.pack(stations__toml=STATIONS.replace('name = "Không múi giờ"', 'name = "x"\nutc_offset = "Z"\nknown_as = ["N"]') + """
[[station.field]]
name = "SpCond"
parameter = "conductivity_25"
scale = 0.001
[[station.field]]
name = "WT"
parameter = "water_temperature"
""")
    old = json.loads(saltline.cli("deadletter", "replay", "--station", "nowhere", "-o", "json", code=1))
    assert "in_future" in old[0]["why"], old


def test_a_profile_that_does_not_say_what_its_conductivity_is_is_refused_with_the_likely_cause(engine):
    saltline = engine()
    folder = saltline.folder / "pack"
    folder.mkdir()
    import subprocess
    from conftest import SALTLINE

    def refused(text):
        (folder / "stations.toml").write_text(text)
        done = subprocess.run([SALTLINE, "import", folder, "--config", saltline.config], capture_output=True, text=True)
        return done.returncode and done.stderr

    for change, part in [(("ec = \"25\"\n", ""), "likely referred to 25"), (("ec = \"25\"", "ec = \"22\""), "raw"),
                         (("+07:00", "7"), "+07:00"), (("parameter = \"water_temperature\"", "parameter = \"ph\"\nec = \"raw\""), "for conductivities")]:
        assert part in (refused(STATIONS.replace(*change)) or ""), (change, refused(STATIONS.replace(*change)))
    assert not refused(STATIONS)
