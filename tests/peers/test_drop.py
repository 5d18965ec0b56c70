"""Stations that leave files: a folder filled by hand, and by OpenSSH's own SFTP server and client."""

import getpass
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import time
import zipfile

import pytest
from conftest import free_port, wait_for

NOW = int(time.time()) // 60 * 60


def vietnam(seconds):
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(seconds + 7 * 3600))


def circular_10(at, salinity, end="\r\n"):
    rows = [("pH", "7.12", "-", "00"), ("EC", "15,2", "mS/cm", "00"), ("Sal", salinity, "g/L", "00"), ("DO", "", "mg/L", "02")]
    return "".join(f"{symbol}\t{value}\t{unit}\t{vietnam(at)}\t{status}{end}" for symbol, value, unit, status in rows)


def toa5(columns, rows):
    head = [["TOA5", "VG", "CR300", "1", "std", "p", "1", "T"], ["TIMESTAMP", "RECORD", *columns],
            ["TS", "RN", *["uS/cm" if c == "conductivity" else "Deg C" for c in columns]], ["", "", *["Avg"] * len(columns)]]
    lines = [",".join(f'"{cell}"' for cell in row) for row in head]
    for n, (at, *values) in enumerate(rows):
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at + 7 * 3600))
        lines.append(",".join([f'"{stamp}"', str(n), *map(str, values)]))
    return "\r\n".join(lines) + "\r\n"


@pytest.fixture
def dropping(engine, tmp_path):
    folder = tmp_path / "drop"
    folder.mkdir()
    saltline = engine(ingest={"drop": [
        {"name": "loggers", "dir": str(folder), "settle": "300ms", "every": "100ms", "offset": "+07:00", "file_bytes_max": "1MiB"}]})
    saltline.station("xuan-hoa", "--known-as", "XH01")
    saltline.station("vam-giong")
    saltline.start()
    saltline.drop = folder
    return saltline


def settled(saltline):
    """Every file has left the folder."""
    def empty():
        return not [p for p in saltline.drop.rglob("*") if p.is_file() and p.relative_to(saltline.drop).parts[0] not in ("done", "bad")]
    wait_for("an empty folder", empty)
    return sorted(str(p.relative_to(saltline.drop)) for p in saltline.drop.rglob("*") if p.is_file())


def count(saltline, station, parameter, wanted):
    wait_for(f"{wanted} of {station} {parameter}", lambda: len(saltline.readings(station, parameter)) >= wanted)
    rows = saltline.readings(station, parameter)
    assert len(rows) == wanted, rows
    return rows


def test_files_of_every_kind_are_read_and_moved_to_done(dropping):
    saltline, drop = dropping, dropping.drop
    (drop / f"TG_XuanHoa_XH01_{vietnam(NOW)}.txt").write_text(circular_10(NOW, "8.85"))
    (drop / f"XH01_{vietnam(NOW - 300)}.txt.gz").write_bytes(gzip.compress(circular_10(NOW - 300, "8.80", "\n").encode()))
    with zipfile.ZipFile(drop / "day.zip", "w") as archive:
        for n in range(2, 5):
            archive.writestr(f"2026/XH01_{vietnam(NOW - 300 * n)}.txt", circular_10(NOW - 300 * n, "8.7"))
    deep = drop / "vam-giong/2026/03"
    deep.mkdir(parents=True)
    (deep / "hourly.dat").write_text(toa5(["conductivity", "water_temperature"], [(NOW - 600 * n, 15200 + n, 28.4) for n in range(6)]))
    (drop / "vam-giong.jsonl").write_text("".join(f'{{"time": {NOW - 50 * n}, "values": {{"ph": 7.1}}}}\n' for n in range(20)))
    went = settled(saltline)
    assert len(went) == 5 and all(name.startswith("done/") for name in went), went
    assert count(saltline, "xuan-hoa", "salinity", 5)[-1]["value"] == 8.85
    assert count(saltline, "xuan-hoa", "conductivity", 5)[0]["value"] == 15.2
    assert count(saltline, "vam-giong", "conductivity", 6)[-1]["value"] == 15.2
    count(saltline, "vam-giong", "ph", 20)


def test_a_bad_file_goes_to_bad_with_its_reason_and_half_a_file_waits(dropping):
    saltline, drop = dropping, dropping.drop
    (drop / f"nowhere_{vietnam(NOW)}.txt").write_text(circular_10(NOW, "1"))
    (drop / "xuan-hoa.csv").write_text(f"time,salinity\n{NOW},8.85\n{NOW - 60},wet\n")
    (drop / "xuan-hoa.xlsx").write_bytes(b"PK\x03\x04")
    (drop / "xuan-hoa.txt.gz").write_bytes(b"not gzip")
    (drop / "huge.csv").write_bytes(b"x" * (2 << 20))
    (drop / "bomb.csv.gz").write_bytes(gzip.compress(b"\n" * (64 << 20)))
    (drop / "XH01_20260101000000.txt.filepart").write_text(circular_10(NOW - 600, "9"))
    wait_for("all but the half file", lambda: len([p for p in drop.iterdir() if p.is_file()]) == 1)
    bad = {p.name: p.read_text() for p in (drop / "bad").iterdir() if p.name.endswith(".reason.txt")}
    for name, part in [(f"nowhere_{vietnam(NOW)}.txt", "unknown_station"), ("xuan-hoa.xlsx", "ending"), ("xuan-hoa.txt.gz", "gzip"),
                       ("huge.csv", "too_large"), ("bomb.csv.gz", "malformed")]:
        assert part in bad[f"{name}.reason.txt"], (name, bad)
        assert (drop / "bad" / name).exists()
    note = (drop / "done/xuan-hoa.csv.reason.txt").read_text()
    assert "1 reports stored" in note and "line 3: not_a_number" in note
    assert count(saltline, "xuan-hoa", "salinity", 1)[0]["value"] == 8.85
    # The half file is finished and gets its name.
    (drop / "XH01_20260101000000.txt.filepart").rename(drop / f"XH01_{vietnam(NOW - 600)}.txt")
    settled(saltline)
    count(saltline, "xuan-hoa", "salinity", 2)


def test_the_same_file_twice_and_a_power_cut_store_nothing_twice(dropping):
    saltline, drop = dropping, dropping.drop
    rows = "".join(f"{NOW - n},{n % 30}\n" for n in range(20_000))
    for n in range(3):
        (drop / "xuan-hoa.csv").write_text("time,salinity\n" + rows)
        if n == 1:
            # In the middle of the file, or right behind it.
            wait_for("a part of it", lambda: saltline.metric("saltline_readings_received_total") > 2_000)
            saltline.kill()
            saltline.start()
        settled(saltline)
    count(saltline, "xuan-hoa", "salinity", 20_000)
    assert wait_for("accounts", lambda: saltline.metric("saltline_readings_duplicate_total") > 15_000)
    assert saltline.metric("saltline_readings_unaccounted") == 0
    names = sorted(p.name for p in (drop / "done").iterdir())
    assert names == ["xuan-hoa.csv", "xuan-hoa.csv.1", "xuan-hoa.csv.2"]


def test_changed_columns_are_an_alarm_and_no_garbage(dropping):
    saltline, drop = dropping, dropping.drop
    (drop / "vam-giong.dat").write_text(toa5(["conductivity", "water_temperature"], [(NOW - 600, 15200, 28.4)]))
    settled(saltline)
    assert saltline.metric("saltline_drop_headers_changed_total") == 0
    (drop / "vam-giong.dat").write_text(toa5(["water_temperature", "air_temperature", "conductivity"], [(NOW, 28.6, 31.0, 15300)]))
    settled(saltline)
    assert saltline.metric("saltline_drop_headers_changed_total") == 1
    assert "air_temperature" in [line for line in saltline.log.read_text().splitlines() if "columns of" in line][0]
    assert [row["value"] for row in count(saltline, "vam-giong", "water_temperature", 2)] == [28.4, 28.6]


def test_openssh_fills_the_folder(dropping, tmp_path):
    """sshd and sftp of OpenSSH, the keys made here, both on loopback as whoever runs the tests."""
    sshd, port = shutil.which("sshd", path="/usr/sbin:/usr/bin"), free_port()
    assert sshd, "openssh-server is missing; make test installs it"
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    for name in ("host", "logger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
    (keys / "allowed").write_text((keys / "logger.pub").read_text())
    config = keys / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\nPidFile none\nAuthorizedKeysFile {keys}/allowed\nUsePAM no\n"
        "StrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n")
    if os.geteuid() == 0:
        # Where the server leaves its privileges; a system with the server running has it.
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    server = subprocess.Popen([sshd, "-D", "-e", "-f", config], stderr=subprocess.PIPE, text=True)
    try:
        sftp = ["sftp", "-q", "-b", "-", "-P", str(port), "-i", str(keys / "logger"), "-o", "StrictHostKeyChecking=no", "-o",
                f"UserKnownHostsFile={keys}/known", "-o", "LogLevel=ERROR", f"{getpass.getuser()}@127.0.0.1"]
        for n in range(20):
            (tmp_path / "out.txt").write_text(circular_10(NOW - 300 * n, f"{8 + n / 10}"))
            name = f"XH01_{vietnam(NOW - 300 * n)}.txt"
            batch = f"put {tmp_path}/out.txt {dropping.drop}/{name}.part\nrename {dropping.drop}/{name}.part {dropping.drop}/{name}\n"
            def sent():
                return subprocess.run(sftp, input=batch, text=True, capture_output=True)
            done = wait_for("sftp", lambda: (it := sent()).returncode == 0 and it) if n == 0 else sent()
            assert done.returncode == 0, done.stderr
    finally:
        server.terminate()
        server.wait()
    assert len(settled(dropping)) == 20
    count(dropping, "xuan-hoa", "salinity", 20)


@pytest.fixture
def growing(engine, tmp_path):
    folder = tmp_path / "loggers"
    folder.mkdir()
    saltline = engine(ingest={"drop": [
        {"name": "grows", "dir": str(folder), "grows": True, "every": "50ms", "offset": "+07:00"}]})
    saltline.station("xuan-hoa")
    saltline.start()
    saltline.drop = folder
    return saltline


def test_a_logger_that_writes_on_is_read_line_by_line_through_kills(growing):
    saltline, path = growing, growing.drop / "xuan-hoa.dat"
    rows = [(NOW - 3000 + n, 15000 + n, 28.4) for n in range(2000)]
    text = toa5(["conductivity", "water_temperature"], rows)
    head, lines = text[:text.index('"' + time.strftime("%Y", time.gmtime(NOW)))], text.splitlines(keepends=True)[4:]
    assert len(lines) == 2000
    with path.open("w", newline="") as out:
        out.write(head)
        for n, line in enumerate(lines):
            # Half a line first: it is not read before it is whole.
            out.write(line[:9])
            out.flush()
            if n in (0, 400, 900):
                count(saltline, "xuan-hoa", "conductivity", n) if n else None
                saltline.kill()
                saltline.start()
            out.write(line[9:])
            out.flush()
    found = count(saltline, "xuan-hoa", "conductivity", 2000)
    assert [row["value"] for row in found] == [(15000 + n) / 1000 for n in range(2000)]
    assert path.exists() and not (growing.drop / "done").exists()
    # A start reads nothing again.
    saltline.stop()
    saltline.start()
    with path.open("a") as out:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(NOW + 7 * 3600))
        out.write(f'"{stamp}",2000,17000,wet\r\n"{stamp}",2001,17000,28.5\r\n')
    count(saltline, "xuan-hoa", "conductivity", 2001)
    assert saltline.metric("saltline_readings_received_total") == 2 and saltline.metric("saltline_readings_duplicate_total") == 0
    letter = json.loads(saltline.cli("deadletter", "list", "-o", "json"))[0]
    assert letter["reason"] == "not_a_number" and "wet" in letter["payload"] and letter["topic"] == "file/table+25200"


def test_a_growing_file_that_is_rotated_truncated_or_changed_is_told_and_nothing_is_lost(growing):
    saltline, path = growing, growing.drop / "xuan-hoa.csv"
    row = lambda n: f"{NOW - 1000 + n},{n / 100}\n"
    path.write_text("time,salinity\n" + "".join(row(n) for n in range(10)))
    count(saltline, "xuan-hoa", "salinity", 10)
    with path.open("a") as out:
        out.write(row(10))
        path.rename(growing.drop / "xuan-hoa.csv.1")
        out.write(row(11))
    path.write_text("time,salinity\n" + row(12))
    count(saltline, "xuan-hoa", "salinity", 13)
    assert saltline.metric("saltline_drop_anew_total") == 0
    # Cut to nothing and begun again, as copytruncate does.
    path.write_text("time,salinity\n" + row(13) + row(14))
    count(saltline, "xuan-hoa", "salinity", 15)
    assert saltline.metric("saltline_drop_anew_total") >= 1
    # Other columns in the same file: an alarm, also when it happened while nobody looked.
    saltline.kill()
    path.write_text("time,ph,salinity\n" + f"{NOW},7.1,0.5\n")
    saltline.start()
    assert count(saltline, "xuan-hoa", "ph", 1)[0]["value"] == 7.1
    assert saltline.metric("saltline_drop_headers_changed_total") == 1
    # What has no lines is left alone.
    (growing.drop / "xuan-hoa.json").write_text("[]")
    (growing.drop / "unknown.csv").write_text("time,salinity\n" + row(1))
    wait_for("a letter", lambda: any(it["reason"] == "unknown_station" for it in json.loads(saltline.cli("deadletter", "list", "-o", "json"))))
    assert saltline.metric("saltline_readings_unaccounted") == 0
