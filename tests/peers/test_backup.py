"""Backups made beside an engine at work, killed on both sides, and brought back on another folder."""

import json
import random
import signal
import subprocess
import threading
import time

from conftest import SALTLINE, Engine, wait_for
from test_power import Recorder, values


def backup(engine, *words, code=0):
    return json.loads(engine.cli("backup", *words, "-o", "json", code=code) or "null")


def test_backups_beside_an_engine_at_work_come_back_whole_whoever_was_killed(engine, tmp_path):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    # Small pieces, so that history seals and merges and the journal lets go of segments while backups run.
    saltline = engine(history={"tail_readings_max": 500}, journal={"segment": "64KiB", "retain": "1s"}).start()
    recorder = Recorder(saltline.station("xuan-hoa"))
    folder, before = tmp_path / "backups", {}
    for n in range(12):
        killed = threading.Event()
        sender = threading.Thread(target=recorder.round, args=(saltline.mqtt, 20, killed), daemon=True)
        sender.start()
        time.sleep(dice.uniform(0.2, 0.6))
        if n % 3 == 2:  # The backup is killed: what it left is the next one's.
            half = subprocess.Popen([SALTLINE, "backup", "create", "--to", folder, "--config", saltline.config],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(dice.uniform(0.0, 0.15))
            half.send_signal(signal.SIGKILL)
            half.wait()
        else:
            made = backup(saltline, "create", "--to", str(folder))
            before[made["backup"]] = set(recorder.acked)  # Acknowledged in earlier rounds: surely in it.
        saltline.kill()
        killed.set()
        sender.join(30)
        saltline.start()
    assert len(recorder.acked) > 500, "hardly anything was acknowledged: the test would prove nothing"
    listed = json.loads(saltline.cli("backup", "list", str(folder), "-o", "json"))
    assert {row["backup"] for row in listed} >= set(before) and len(before) == 8
    for name in before:
        backup(saltline, "verify", str(folder), "--backup", name)
    for name in (min(before), max(before)):
        place = tmp_path / name
        restored = Engine(place_for(place), data={"dir": str(place / "data")})
        backup(saltline, "restore", str(folder), "--to", str(place / "data"), "--backup", name)
        restored.start()
        wait_for("history of the restored engine", lambda: set(values(restored)) >= before[name])
        rows = restored.readings("xuan-hoa", "salinity")
        assert len(rows) == len({row["time"] for row in rows}), "a reading is doubled"
        assert restored.stop() == 0
    # An hour later nearly everything is there already: the same backup again costs next to nothing.
    assert saltline.stop() == 0
    first, again = (backup(saltline, "create", "--to", str(folder)) for _ in range(2))
    assert again["new_objects"] == 0 and again["bytes"] == first["bytes"]
    assert backup(saltline, "prune", str(folder), "--keep", "1")["backups"] == len(listed) + 1
    backup(saltline, "verify", str(folder))


def place_for(place):
    place.mkdir()
    return place


def test_a_damaged_backup_and_a_wrong_folder_are_named(engine, tmp_path):
    saltline = engine().start()
    saltline.station("xuan-hoa")
    folder = tmp_path / "backups"
    backup(saltline, "create", "--to", str(folder))
    backup(saltline, "verify", str(folder))
    largest = max((path for path in (folder / "objects").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 0x55
    largest.write_bytes(content)
    words = ("verify", str(folder)), ("restore", str(folder), "--to", str(tmp_path / "new"))
    for said in words:
        done = subprocess.run([SALTLINE, "backup", *said, "--config", saltline.config], capture_output=True, text=True)
        assert done.returncode == 1 and "registry.sqlite` of the backup is damaged" in done.stderr, done.stderr
    assert not (tmp_path / "new").exists()
    backup(saltline, "restore", str(folder), "--to", str(saltline.data), code=1)
    backup(saltline, "list", str(tmp_path / "nowhere"), code=1)
    backup(saltline, "create", "--to", str(tmp_path), code=1)
    assert saltline.stop() == 0
