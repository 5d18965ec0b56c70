"""pymodbus as the device and libmodbus as the other master: TCP, RTU through a gateway, RTU over a pair of serial
lines (socat); the probe; commands that write; the engine killed in the middle."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from conftest import ROOT, SALTLINE, SIM, Lines, free_port, wait_for

PEERS = ROOT / "tests/peers"

# What the slave of modbus_slave.py holds.
PROFILE = """
device = "modbus_slave.py"
source = "tests/peers/modbus_slave.py"
gap = 1

value = [
  { parameter = "salinity", function = 3, register = 0, type = "f32", unit = "g/L" },
  { parameter = "water_temperature", function = 3, register = 2, type = "f32", order = "CDAB", unit = "°C" },
  { parameter = "water_level", function = 3, register = 10, type = "i16", scale = 0.01, unit = "m" },
  { parameter = "conductivity_25", function = 3, register = 11, type = "u16", scale = 0.01, offset = 0.5, unit = "mS/cm" },
  { parameter = "nitrate", function = 3, register = 20, type = "i32", order = "CDAB", scale = -0.001, unit = "mg/L N" },
  { parameter = "turbidity", function = 3, register = 22, type = "u32", scale = 0.001, unit = "NTU" },
  { parameter = "ph", function = 3, register = 24, type = "f64", unit = "" },
  { parameter = "ammonium", function = 3, register = 30, type = "f32", unit = "mg/L N", absent = ["nan"] },
  { parameter = "battery", function = 3, register = 40, type = "u16", unit = "V", absent = [0x7FFF] },
]
status = [{ function = 3, register = 32, fault = [0], calibrating = [1], of = ["ph"] }]
"""
EXPECTED = {"salinity": 17.4, "water_temperature": 29.1, "water_level": -0.35, "conductivity_25": 17.9,
            "nitrate": 123.456, "turbidity": 3456.789, "ph": 7.25}


@pytest.fixture
def beside():
    """Starts processes beside the engine that end with their stdin, and with the test."""
    running = []

    def start(*words):
        process = subprocess.Popen(list(map(str, words)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        process.ready = Lines(process.stdout).next()
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def serial_pair(tmp_path):
    """Two serial ports with a cable between them."""
    if not shutil.which("socat"):
        pytest.skip("socat is not installed")
    ends = tmp_path / "by-id-a", tmp_path / "by-id-b"
    made = subprocess.Popen(["socat", *(f"pty,raw,echo=0,link={end}" for end in ends)])
    wait_for("the serial ports", lambda: all(end.exists() for end in ends))
    # A cable stays when a program closes its port; socat ends when nobody holds the other side.
    held = [os.open(end, os.O_RDWR | os.O_NOCTTY) for end in ends]
    yield ends
    for end in held:
        os.close(end)
    made.kill()
    made.wait()


def lines(saltline, *entries):
    """Writes the lines beside the engine's configuration, and a folder with the profile."""
    folder = saltline.folder / "conf.d"
    folder.mkdir(exist_ok=True)
    profiles = saltline.folder / "profiles"
    profiles.mkdir(exist_ok=True)
    (profiles / "pymodbus.toml").write_text(PROFILE)
    text = f'[ingest]\nmodbus_profiles = "{profiles}"\n'
    for entry in entries:
        entry = {"late_max": "1s", "back_off_max": "2s", "retry_max": "500ms", **entry}
        slaves = entry.pop("slaves")
        text += "[[ingest.modbus]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
        inline = lambda slave: "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in slave.items()) + " }"
        text += "slaves = [" + ", ".join(map(inline, slaves)) + "]\n"
    (folder / "modbus.toml").write_text(text)
    return saltline


def slave(station, unit=1, profile="pymodbus", every="200ms", **more):
    return {"station": station, "unit": unit, "profile": profile, "every": every, **more}


def latest(saltline, station):
    series = saltline.get(f"/api/v1/stations/{station}/readings?from=2020-01-01T00:00:00Z")["series"]
    return {one["parameter"]: one["readings"][-1] for one in series if one["readings"]}


def probe(url, *words, code=0):
    done = subprocess.run([SALTLINE, "probe", "modbus", url, "-o", "json", *words], text=True, capture_output=True, timeout=60)
    assert done.returncode == code, (done.returncode, done.stderr)
    return done.stdout


def check(found):
    assert set(EXPECTED) <= set(found), found
    for parameter, value in EXPECTED.items():
        assert abs(found[parameter]["value"] - value) < abs(value) * 1e-6, (parameter, found[parameter])
    assert found["ph"]["flag"] == 4, "a sensor in calibration says so itself"
    assert all(found[name]["value"] is None for name in ("ammonium", "battery") if name in found)


def outcomes(saltline, station):
    text = saltline.text("/metrics")[1]
    found = re.findall(rf'^saltline_modbus_polls_total{{([^}}]*station="{station}"[^}}]*)}} (\d+)', text, re.M)
    return {re.search(r'outcome="(\w+)"', labels).group(1): int(count) for labels, count in found}


@pytest.mark.parametrize("how", ["tcp", "rtu+tcp"])
def test_pymodbus_over_a_socket_is_read_to_the_last_digit_and_found_again(engine, beside, how):
    port = free_port()
    start = lambda: beside(sys.executable, PEERS / "modbus_slave.py", how, port, "1,7")
    pymodbus = start()
    saltline = lines(engine(), {"name": "bus", "url": f"{how}://127.0.0.1:{port}", "slaves": [slave("one"), slave("seven", 7)]})
    saltline.start()
    for station in ("one", "seven"):
        saltline.station(station)
    for station in ("one", "seven"):
        wait_for("readings", lambda: set(EXPECTED) <= set(latest(saltline, station)), 30)
        check(latest(saltline, station))
    pymodbus.kill()
    pymodbus.wait()
    wait_for("the loss", lambda: saltline.metric("saltline_modbus_line_open") == 0, 30)
    before = outcomes(saltline, "one")["answered"]
    start()
    wait_for("readings again", lambda: outcomes(saltline, "one")["answered"] > before + 3, 30)
    assert saltline.metric("saltline_readings_unaccounted") == 0
    assert saltline.stop() == 0


def test_pymodbus_on_a_serial_line_with_a_dead_slave_beside_it(engine, beside, serial_pair):
    ours, theirs = serial_pair
    beside(sys.executable, PEERS / "modbus_slave.py", "serial", theirs, "1,2")
    saltline = lines(engine(), {"name": "bus", "url": f"serial://{ours}", "answer_within": "500ms", "slaves": [
        slave("one", 1, every="1s"), slave("two", 2, every="1s"), slave("dead", 3, every="1s")]})
    saltline.start()
    for station in ("one", "two", "dead"):
        saltline.station(station)
    wait_for("readings", lambda: set(EXPECTED) <= set(latest(saltline, "one")) and set(EXPECTED) <= set(latest(saltline, "two")), 30)
    check(latest(saltline, "one"))
    wait_for("the dead one is left alone", lambda: outcomes(saltline, "dead").get("breaker_open", 0) >= 1, 30)
    assert latest(saltline, "dead") == {}, "nothing is invented"
    assert set(outcomes(saltline, "one")) <= {"answered", "unknown_station"}, outcomes(saltline, "one")
    saltline.kill()
    saltline.start()
    wait_for("readings after a kill", lambda: outcomes(saltline, "one").get("answered", 0) >= 3, 30)
    assert saltline.stop() == 0


@pytest.mark.parametrize("how", ["tcp", "rtu"])
def test_libmodbus_reads_and_writes_the_simulators_slaves(beside, tmp_path, how):
    if not shutil.which("mbpoll"):
        pytest.skip("mbpoll is not installed")
    link = tmp_path / "by-id"
    where = ["--tcp", "127.0.0.1:0"] if how == "tcp" else ["--pty", link]
    ready = beside(SIM, "modbus", *where, "--units", "1,5", "--with-parent").ready
    at = ["-m", "tcp", "-p", ready["tcp"].rsplit(":", 1)[1], "127.0.0.1"] if how == "tcp" else ["-m", "rtu", "-b", "9600", "-P", "none", str(link)]
    poll = lambda *words: subprocess.run(["mbpoll", *at[:-1], "-a", "5", "-0", "-1", *words[:-1], at[-1], *words[-1]], capture_output=True, text=True, timeout=20)
    read = poll("-r", "8", "-c", "2", "-t", "4:float", "-B", [])
    assert read.returncode == 0, read.stdout + read.stderr
    ph, battery = (float(value) for value in re.findall(r"\[\d+\]:\s+([-0-9.]+)", read.stdout))
    assert 7.0 < ph < 7.4 and abs(battery - 12.6) < 0.01
    assert poll("-r", "20", "-t", "4", ["120"]).returncode == 0
    assert re.search(r"\[20\]:\s+120", poll("-r", "20", "-t", "4", []).stdout)
    assert poll("-r", "500", "-t", "4", []).returncode != 0


def test_the_probe_finds_the_order_and_writes_a_profile_that_the_engine_uses(engine, beside, tmp_path):
    port = free_port()
    beside(sys.executable, PEERS / "modbus_slave.py", "tcp", port, "1")
    saltline = lines(engine(), {"name": "bus", "url": f"tcp://127.0.0.1:{port}", "slaves": [slave("one", profile="found")]})
    look = lambda *words, **more: probe(f"tcp://127.0.0.1:{port}", *words, **more)
    rows = json.loads(look("--register", "0", "--count", "4", "--parameter", "water_temperature"))
    assert {"register": 2, "type": "f32", "order": "CDAB"}.items() <= rows[-1].items() or any(
        row["register"] == 2 and row["order"] == "CDAB" and abs(row["value"] - 29.1) < 1e-5 for row in rows), rows
    every = json.loads(look("--register", "10", "--count", "2"))
    assert any(row["type"] == "i16" and row["abcd"] == -35 for row in every)
    look("--register", "500", "--count", "2", code=1)
    profile = saltline.folder / "profiles/found.toml"
    look("--register", "0", "--count", "12", "--take", "2:f32:CDAB:water_temperature", "--take", "10:i16:ABCD:water_level:0.01",
          "--profile", str(profile))
    saltline.start()
    saltline.station("one")
    wait_for("readings", lambda: set(latest(saltline, "one")) == {"water_temperature", "water_level"}, 30)
    assert abs(latest(saltline, "one")["water_level"]["value"] + 0.35) < 1e-9
    assert saltline.stop() == 0


def test_a_command_writes_only_where_it_is_allowed_and_the_audit_has_it(engine, beside, tmp_path):
    ready = beside(SIM, "modbus", "--rtu-tcp", "127.0.0.1:0", "--units", "1-2", "--with-parent").ready
    saltline = lines(engine(), {"name": "gates", "url": f"rtu+tcp://{ready['rtu_tcp']}", "slaves": [
        slave("open", 1, "saltline-sim", writes=True), slave("shut", 2, "saltline-sim")]})
    saltline.start()
    for station in ("open", "shut"):
        saltline.station(station)
    order = lambda station, value, code=0: saltline.cli(
        "station", "command", station, "modbus-write", "--arg", "name=gate_opening", "--arg", f"value={value}", "--wait", "-o", "json", code=code)
    time.sleep(1.2)
    assert json.loads(order("open", 1.2))["state"] == "done"
    order("open", 9, code=1)
    order("shut", 1.2, code=1)
    asked = saltline.cli("station", "commands", "open", "-o", "json")
    assert "0 to 4 m" in asked
    read = json.loads(probe(f"rtu+tcp://{ready['rtu_tcp']}", "--register", "20", "--count", "1"))
    assert read[0]["type"] == "i16" and read[0]["abcd"] == 120, read
    assert saltline.stop() == 0


def test_a_configuration_that_cannot_be_meant_is_refused_by_name(engine):
    for slaves, why in [([slave("one", profile="pymodbuss")], "did you mean `pymodbus`"), ([slave("one"), slave("one", 2)], "a station has one"),
                        ([], "at least one")]:
        saltline = lines(engine(), {"name": "bus", "url": "tcp://127.0.0.1:1", "slaves": slaves})
        assert saltline.cli("check", "config", code=78) == ""
        with pytest.raises(AssertionError):
            saltline.start()
        assert why in saltline.log.read_text(), saltline.log.read_text()
