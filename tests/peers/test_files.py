"""The simulator's loggers leave files, some of them slow, twice, late, torn, with noise or empty: every whole record is
stored once and with its own value, and nothing else is."""

import json
import subprocess
import time

import pytest
from conftest import SIM, wait_for

DIALS = ["--slow", "0.15", "--twice", "0.15", "--late", "0.1", "--torn", "0.15", "--noise", "0.15", "--empty", "0.05"]


def salinity(number, seconds):
    """As firmware-sim/src/files/form.rs has it."""
    return (seconds // 60 % 3_000 * 7 + number * 101) % 3_000 / 100


@pytest.mark.parametrize("form, packed", [("circular-10", False), ("circular-10", True), ("toa5", False), ("csv", False),
                                          ("json-lines", False)])
def test_nothing_wrong_is_stored_of_disturbed_files(engine, tmp_path, form, packed):
    folder = tmp_path / "in"
    folder.mkdir()
    saltline = engine(ingest={"drop": [
        {"name": "loggers", "dir": str(folder), "settle": "400ms", "every": "100ms", "offset": "+07:00"}]})
    saltline.station("xuan-hoa", "--known-as", "XH01")
    saltline.station("vam-giong", "--known-as", "VG01")
    saltline.start()
    done = subprocess.run(
        [SIM, "files", "--dir", folder, "--stations", "XH01,VG01", "--form", form, "--files", "30", "--records", "8", "--pause", "30ms",
         "--seed", str(time.time_ns()), *(["--packed"] if packed else []), *DIALS], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    dropped = json.loads(done.stdout)
    print(dropped)

    def left():
        return [p for p in folder.iterdir() if p.is_file()]

    wait_for("an empty folder", lambda: not left(), 60)
    def rows():
        return {station: saltline.readings(station, "salinity") for station in ["xuan-hoa", "vam-giong"]}
    # What is torn behind its first words may still say its salinity, in a format in which that stands in a line of its own.
    more = dropped["injected"].get("torn", 0) if form == "circular-10" else 0
    least = dropped["records"]
    stored = wait_for("all of them", lambda: least <= sum(map(len, (found := rows()).values())) and found)
    assert sum(map(len, stored.values())) <= least + more
    for number, station in enumerate(stored):
        for row in stored[station]:
            at = int(time.mktime(time.strptime(row["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone)
            assert row["value"] == pytest.approx(salinity(number, at)), (station, row)
    wait_for("the accounts", lambda: saltline.metric("saltline_readings_unaccounted") == 0)
    assert saltline.stop() == 0
