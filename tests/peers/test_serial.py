"""A logger in another language on a real cable (socat), whose check Python's own library computes; SDI-12 sensors and a
weather station of the simulator through the whole engine; the probes, and the profiles that they write; kills."""

import binascii
import json
import os
import select
import subprocess
import threading
import time

from conftest import SALTLINE, SIM, wait_for
from test_modbus import beside, latest, serial_pair  # noqa: F401

# Its check is the one that binascii.crc_hqx computes.
PROFILE = """
device = "test_serial.py"
source = "tests/peers/test_serial.py"
begins = "="
ends = "\\r"
separator = ";"
decimal = ","
check = { kind = "crc16-xmodem", mark = "/" }

[poll]
ask = "{address}?\\r"
took = "{address}!\\r"

[[sentence]]
begins = "{address}"
words = 4
time = { words = [1], format = "%d.%m.%y %H:%M:%S", zone = "Z" }
value = [
  { parameter = "salinity", word = 2, unit = "mg/L" },
  { parameter = "water_temperature", word = 3, unit = "°F", absent = ["-"] },
]
"""


class Logger(threading.Thread):
    """Answers at address 7 with its oldest record, and goes on when it is told."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = os.open(port, os.O_RDWR | os.O_NOCTTY)
        self.first = int(time.time()) - 3_600
        self.kept = 0
        self.ended = threading.Event()
        self.start()

    def record(self):
        at = time.strftime("%d.%m.%y %H:%M:%S", time.gmtime(self.first + self.kept))
        said = f"7;{at};{1_000 + self.kept},5;82,4".encode()
        return b"=%b/%04X\r" % (said, binascii.crc_hqx(said, 0))

    def run(self):
        heard = b""
        while not self.ended.is_set():
            if select.select([self.port], [], [], 0.1)[0]:
                heard += os.read(self.port, 64)
            while b"\r" in heard:
                question, heard = heard.split(b"\r", 1)
                if question.endswith(b"7?"):
                    # A real one is seldom done at once: the line comes in two pieces.
                    line = self.record()
                    os.write(self.port, line[:9])
                    time.sleep(0.02)
                    os.write(self.port, line[9:])
                elif question.endswith(b"7!"):
                    self.kept += 1


def configured(saltline, kind, entry, **profiles):
    """Writes one entry beside the engine's configuration, and profiles."""
    folder = saltline.folder / "conf.d"
    folder.mkdir(exist_ok=True)
    shelf = saltline.folder / f"{kind}-profiles"
    shelf.mkdir(exist_ok=True)
    for name, text in profiles.items():
        (shelf / f"{name}.toml").write_text(text)
    several = "sensors" if kind == "sdi12" else "loggers"
    who = entry.pop(several)
    inline = lambda one: "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in one.items()) + " }"
    text = f'[ingest]\n{kind}_profiles = "{shelf}"\n[[ingest.{kind}]]\n'
    text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
    (folder / f"{kind}.toml").write_text(text + f"{several} = [" + ", ".join(map(inline, who)) + "]\n")
    return saltline


def probe(*words, code=0):
    done = subprocess.run([SALTLINE, "probe", *map(str, words), "-o", "json"], text=True, capture_output=True, timeout=90)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def readings(saltline, station, parameter):
    found = saltline.get(f"/api/v1/stations/{station}/readings?parameter={parameter}&from=2020-01-01T00:00:00Z")
    return found["readings"]


def test_a_logger_written_in_another_language_is_read_over_a_cable_and_found_again(engine, serial_pair):
    ours, theirs = serial_pair
    logger = Logger(theirs)
    entry = {"name": "pier", "url": f"serial://{ours}", "late_max": "1s", "back_off_max": "2s", "retry_max": "500ms",
             "loggers": [{"station": "pier", "profile": "python", "address": "7", "every": "100ms"}]}
    saltline = configured(engine(), "serial", entry, python=PROFILE)
    saltline.start()
    saltline.station("pier")
    wait_for("records", lambda: 20 <= logger.kept, 60)
    for _ in range(3):
        before = logger.kept
        saltline.kill()
        saltline.start()
        wait_for("records after a kill", lambda: before + 5 <= logger.kept, 60)
    logger.ended.set()
    told = logger.kept
    wait_for("history", lambda: told <= len(readings(saltline, "pier", "salinity")), 30)
    found = readings(saltline, "pier", "salinity")
    # Each record once, none missing, whatever was killed in between; mg/L is g/L, °F is °C.
    assert [round(one["value"] * 1_000 - 1_000.5) for one in found] == list(range(len(found)))
    assert len(found) - told in (0, 1)
    assert all(abs(one["value"] - 28) < 1e-9 for one in readings(saltline, "pier", "water_temperature"))
    assert saltline.metric("saltline_readings_unaccounted") == 0
    assert saltline.stop() == 0


def test_the_probe_shows_lines_and_writes_a_profile_that_the_engine_uses(engine, beside, tmp_path):
    link = tmp_path / "by-id"
    beside(SIM, "serial", "--pty", link, "--every", "200ms", "--with-parent")
    saltline = engine()
    entry = {"name": "roof", "url": f"serial://{link}", "loggers": [{"station": "roof", "profile": "found"}]}
    configured(saltline, "serial", entry, nothing=PROFILE)
    profile = saltline.folder / "serial-profiles/found.toml"
    done = probe("serial", link, "--for", "20s", "--lines", "10", "--profile", profile)
    heard = json.loads(done.stdout)
    assert any(row["what"] == "line" and row["text"].startswith("$WIMDA,") for row in heard), heard
    assert "profile `nmea-weather` reads" in done.stderr and 'kind = "xor"' in done.stderr, done.stderr
    text = profile.read_text()
    assert 'begins = "WIMWV"' in text and 'begins = "$"' in text, text
    # What a person says: word 3 of MWV is the speed.
    wind = text.split("[[sentence]]")[0] + "[[sentence]]" + next(part for part in text.split("[[sentence]]") if '"WIMWV"' in part)
    wind = wind.replace('{ name = "word_3", word = 3, unit = "" }', '{ parameter = "wind_speed", word = 3, unit = "m/s" }')
    wind = "\n".join(line for line in wind.splitlines() if "word_" not in line) + '\n[[sentence]]\nbegins = "WIMDA"\nwords = 21\n' \
        'value = [{ parameter = "humidity", word = 9, unit = "%" }]\n'
    profile.write_text(wind)
    saltline.start()
    saltline.station("roof")
    wait_for("weather", lambda: {"wind_speed", "humidity"} <= set(latest(saltline, "roof")), 30)
    assert saltline.stop() == 0
    probe("serial", tmp_path / "nowhere", code=1)


def test_sdi12_sensors_come_in_through_the_whole_engine(engine, beside, tmp_path):
    link = tmp_path / "by-id"
    beside(SIM, "sdi12", "--pty", link, "--addresses", "05", "--measures-for", "100ms", "--echo", "--corrupted", "0.02", "--with-parent")
    found = json.loads(probe("sdi12", link, "--answer-within", "300ms").stdout)
    assert {row["address"] for row in found} <= {"0", "5"} and found, found
    assert all(row["vendor"] == "SALTLINE" and row["sdi12"] == "1.4" for row in found)
    saltline = engine()
    sensors = [{"station": "well", "address": "0", "profile": "saltline-sim", "every": "500ms"},
               {"station": "pier", "address": "5", "profile": "found", "every": "500ms"}]
    entry = {"name": "bus", "url": f"serial://{link}", "answer_within": "500ms", "late_max": "1s", "back_off_max": "2s", "sensors": sensors}
    configured(saltline, "sdi12", entry)
    profile = saltline.folder / "sdi12-profiles/found.toml"
    values = json.loads(probe("sdi12", link, "--address", "5", "--take", "1:water_level:mm", "--take", "4:salinity:g/L", "--profile", profile).stdout)
    assert len(values) == 4 and values[0]["value"] - 1_000 == round(values[3]["value"] * 1_000), values
    saltline.start()
    for station in ("well", "pier"):
        saltline.station(station)
    wait_for("measurements", lambda: "salinity" in latest(saltline, "well") and "salinity" in latest(saltline, "pier"), 60)
    saltline.kill()
    saltline.start()
    before = len(readings(saltline, "well", "salinity"))
    wait_for("measurements after a kill", lambda: before + 3 <= len(readings(saltline, "well", "salinity")), 60)
    # Level and salinity of one measurement say the same number.
    levels = {one["time"]: one["value"] for one in readings(saltline, "well", "water_level")}
    for one in readings(saltline, "well", "salinity"):
        assert abs((levels[one["time"]] - 1) - one["value"]) < 1e-9, one
    assert set(latest(saltline, "pier")) == {"water_level", "salinity"}
    assert saltline.metric("saltline_readings_unaccounted") == 0
    assert saltline.stop() == 0


def test_a_configuration_that_cannot_be_meant_is_refused_by_name(engine):
    logger = {"station": "one", "profile": "nmea-weather"}
    for kind, entry, why in [
        ("serial", {"name": "a", "url": "serial:///dev/x", "loggers": [{**logger, "profile": "nmea"}]}, "nmea-weather"),
        ("serial", {"name": "a", "url": "serial:///dev/x", "loggers": [logger, {**logger, "address": "1"}]}, "no use for one"),
        ("sdi12", {"name": "a", "url": "serial:///dev/x", "sensors": [{"station": "one", "address": "10", "profile": "ott-pls"}]}, "0-9, a-z"),
    ]:
        saltline = configured(engine(), kind, entry)
        assert saltline.cli("check", "config", code=78) == ""
        done = subprocess.run([SALTLINE, "check", "config", "--config", saltline.folder / "saltline.toml"], text=True, capture_output=True)
        assert why in done.stderr, done.stderr
        (saltline.folder / f"conf.d/{kind}.toml").unlink()
