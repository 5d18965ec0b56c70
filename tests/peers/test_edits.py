"""What people change of what was measured: over the API and the command line, beside late data, kills and a backup. What
is right is computed here, from the readings as they were sent."""

import csv
import json
import subprocess
import time

from conftest import SALTLINE, wait_for
from test_contract import Person
from test_push import NOW, iso, post, pushing, stored  # noqa: F401 (a fixture)

DAY = NOW // 86_400 * 86_400 - 3 * 86_400
QUARTERS = range(96)


def at(quarter):
    return iso(DAY + quarter * 900)


def sent(quarter):
    return 2 + (quarter % 50) / 10


def fill(saltline, quarters):
    body = [{"time": at(q), "values": {"salinity": sent(q), "ph": 7}} for q in quarters]
    assert post(saltline.push, json.dumps(body), saltline.key)[0] == 202


def shown(saltline, more=""):
    path = f"/api/v1/stations/xuan-hoa/readings?parameter=salinity&from={at(0)}&to={at(96)}{more}"
    rows = saltline.get(path)["readings"]
    quarter = lambda row: QUARTERS[[at(q) for q in QUARTERS].index(row["time"].replace(".000", ""))]
    return {quarter(row): (row["value"] if row["value"] is None else round(row["value"], 9), row["flag"], row.get("layer")) for row in rows}


def test_readings_are_corrected_filled_removed_approved_and_never_overwritten(pushing, tmp_path):  # noqa: F811
    gap = range(60, 70)
    fill(pushing, [q for q in QUARTERS if q not in gap])
    stored(pushing, "salinity", 86)
    person, viewer = Person(pushing, "truc"), Person(pushing, "xem")
    path = "/api/v1/stations/xuan-hoa/edits"
    raw = shown(pushing)
    assert all(layer is None for _, _, layer in raw.values()) and len(raw) == 86
    flag = raw[0][1]

    def make(act, first, last, code=201, who=person, **more):
        body = {"parameter": "salinity", "from": at(first), "to": at(last), "act": act, "reason": "probe was fouled", **more}
        status, said = who.ask("POST", path, body)
        assert status == code, said
        return said

    drift = make("drift", 0, 20, start=0, end=-1)
    offset = make("offset", 10, 30, by=0.5)
    make("remove", 40, 44)
    line = make("interpolate", 60, 70, every="15m")
    # The line is tied to the readings on both sides, 59 and 70.
    slope = (sent(70) - sent(59)) / 11
    assert abs(line["start"] - (sent(59) + slope)) < 1e-9 and abs(line["end"] - sent(70)) < 1e-9

    def corrected(q):
        if q in gap:
            return round(sent(59) + slope * (q - 59), 9), 3, "corrected"
        if q in range(40, 44):
            return None, 9, "corrected"
        value = sent(q) - (q / 20 if q < 20 else 0) + (0.5 if 10 <= q < 30 else 0)
        return round(value, 9), flag, "corrected" if q < 30 else None

    wanted = {q: corrected(q) for q in QUARTERS}
    assert shown(pushing) == wanted
    assert shown(pushing, "&layer=raw") == raw
    assert shown(pushing, "&layer=approved") == {}
    # The table says it in a column more, and has none where nobody changed anything.
    table = f"/api/v1/stations/xuan-hoa/readings?parameter=salinity&from={at(0)}&to={at(96)}&format=csv"
    cells = list(csv.DictReader(pushing.text(table)[1].lstrip("\ufeff").splitlines()))
    assert [row["salinity layer"] for row in cells] == [layer or "" for _, _, layer in wanted.values()]
    assert "đã hiệu chỉnh" in pushing.text(table + "&lang=vi")[1]
    assert "layer" not in pushing.text(table + "&layer=raw")[1]
    day = pushing.get(f"/api/v1/stations/xuan-hoa/readings?parameter=salinity&from={at(0)}&to={at(96)}&every=1d")["readings"][0]
    values = [value for value, _, _ in wanted.values() if value is not None]
    assert (day["count"], round(day["min"], 9), round(day["mean"], 6)) == (92, min(values), round(sum(values) / 92, 6))

    # Approved, it stays, whatever comes later: a late reading in the gap and one that is corrected at its source.
    time.sleep(0.05)
    make("approve", 0, 96)
    approved = {q: (value, flag_, "approved") for q, (value, flag_, _) in wanted.items()}
    assert shown(pushing) == approved
    time.sleep(0.05)
    late = [{"time": at(65), "values": {"salinity": 30}}, {"time": at(5), "values": {"salinity": 31}}]
    assert post(pushing.push, json.dumps(late), pushing.key)[0] == 202
    wait_for("the late ones", lambda: shown(pushing, "&layer=raw").get(65) == (30, flag, None))
    make("offset", 0, 96, by=100)
    # Acknowledged is on disk: the engine dies in the next instant.
    pushing.kill()
    pushing.start()
    person.engine = viewer.engine = pushing
    wait_for("history", lambda: pushing.behind("history") == 0)
    assert shown(pushing) == approved == shown(pushing, "&layer=approved")
    raw_now = raw | {65: (30, flag, None), 5: (31, flag, None)}
    assert shown(pushing, "&layer=raw") == raw_now
    with_all = shown(pushing, "&layer=corrected")
    assert with_all[65] == (round(wanted[65][0] + 100, 9), 3, "corrected"), "a line stands in the place of a reading"
    assert with_all[5] == (round(31 - 5 / 20 + 100, 9), flag, "corrected")

    # Beside the running engine, from the command line, everything as a table.
    rows = json.loads(pushing.cli("edit", "list", "xuan-hoa", "-o", "json"))
    assert [row["act"] for row in rows] == ["drift", "offset", "remove", "interpolate", "approve", "offset"]
    assert {row["made_by"] for row in rows} == {"truc"}
    for layer, right in [("best", approved), ("raw", raw_now), ("corrected", with_all), ("approved", approved)]:
        file = tmp_path / f"{layer}.csv"
        pushing.cli("export", "--parameter", "salinity", "--layer", layer, "-O", str(file))
        with open(file, newline="") as table:
            cells = {row["time_utc"]: row["value"] for row in csv.DictReader(table)}
        assert len(cells) == len(right), layer
        for q, (value, _, _) in right.items():
            said = next(text for when, text in cells.items() if when.startswith(at(q)[:19]))
            assert said == "" if value is None else abs(float(said) - value) < 1e-9, (layer, q, said)

    # What was withdrawn is gone from now on, and was there then.
    before = iso(time.time() + 1)
    time.sleep(2)
    status, said = person.ask("POST", f"/api/v1/edits/{rows[4]['id']}/withdraw", {"reason": "approved too early"})
    assert status == 200 and said["withdrawn"]["by"] == "truc", said
    assert person.ask("POST", f"/api/v1/edits/{rows[4]['id']}/withdraw", {"reason": "twice"})[0] == 409
    pushing.cli("edit", "withdraw", str(rows[5]["id"]), "--reason", "nobody wanted it")
    assert shown(pushing)[5] == (round(31 - 5 / 20, 9), flag, "corrected")
    assert shown(pushing, f"&as_of={before}")[5] == approved[5]
    listed = viewer.ask("GET", path)[1]
    assert "made_by" in listed[0]
    assert "made_by" not in pushing.get(path)[0], "who it was is nobody's business outside"
    assert drift["id"] == 1 and offset["made_by"] == "truc"

    page = pushing.text("/s/xuan-hoa?hours=96&lang=en")[1]
    assert "probe was fouled" in page and "Corrected" in page

    # In a backup, and back.
    pushing.stop()
    pushing.cli("backup", "create", "--to", str(tmp_path / "backups"))
    pushing.cli("backup", "restore", "--to", str(tmp_path / "again"), str(tmp_path / "backups"))
    again = subprocess.run([SALTLINE, "edit", "list", "--data", str(tmp_path / "again"), "-o", "json"], capture_output=True, text=True, check=True)
    assert json.loads(again.stdout) == json.loads(pushing.cli("edit", "list", "-o", "json"))


def test_edits_that_mean_nothing_or_are_not_yours_are_refused(pushing):  # noqa: F811
    fill(pushing, range(8))
    stored(pushing, "salinity", 8)
    person, viewer = Person(pushing, "truc"), Person(pushing, "xem")
    path = "/api/v1/stations/xuan-hoa/edits"
    good = {"parameter": "salinity", "from": at(0), "to": at(8), "act": "offset", "by": 1, "reason": "probe was fouled"}
    for change, status, word in [
        ({"act": "wish"}, 422, "`act` is one of"),
        ({"act": "drift"}, 422, "a drift has `start` and `end`"),
        ({"act": "remove"}, 422, "no numbers"),
        ({"by": None}, 422, "an offset has `by`"),
        ({"by": 1e10}, 422, "between -1e9 and 1e9"),
        ({"from": at(8)}, 422, "`from` is not before `to`"),
        ({"from": "yesterday"}, 422, "`from`"),
        ({"reason": ""}, 422, "reason"),
        ({"parameter": "taste"}, 400, "no parameter"),
        ({"blame": "me"}, 422, "blame"),
        ({"act": "approve", "by": None, "to": iso(NOW + 9_999)}, 422, "cannot be approved"),
        ({"act": "interpolate", "by": None, "from": at(7), "to": at(9)}, 422, "on both sides"),
        ({"act": "interpolate", "by": None, "start": 1}, 422, "both"),
        ({"act": "interpolate", "by": None, "start": 1, "end": 2, "every": "30s"}, 422, "at least 1 min"),
        ({"act": "interpolate", "by": None, "start": 1, "end": 2, "every": "often"}, 422, "duration"),
    ]:
        said, problem = person.ask("POST", path, {**good, **change})
        assert said == status and word in problem["detail"], (change, said, problem)
    assert person.ask("POST", path.replace("xuan-hoa", "hue"), good)[0] == 404
    assert person.ask("POST", path, good, csrf=False)[0] == 403
    assert viewer.ask("POST", path, good)[0] == 403
    assert post(pushing.http + path, json.dumps(good), pushing.key)[0] in (401, 403), "a station does not correct itself"
    assert person.ask("POST", "/api/v1/edits/1/withdraw", {"reason": "not there"})[0] == 404
    assert person.ask("POST", "/api/v1/edits/x/withdraw", {"reason": "not there"})[0] == 404
    assert person.ask("GET", path)[1] == []
    usage = ["edit", "add", "xuan-hoa", "salinity", "--from", at(0), "--to", at(4), "--reason", "fouled"]
    pushing.cli(*usage, code=2)
    pushing.cli(*usage, "--offset", "1", "--remove", code=2)
    pushing.cli(*usage, "--drift", "1", code=2)
    pushing.cli(*usage, "--offset", "nan", code=1)
    pushing.cli(*usage, "--drift", "0..-0.4")
    assert shown(pushing)[2][0] == round(sent(2) - 0.2, 9)
