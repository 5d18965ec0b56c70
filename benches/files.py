"""Files: 1,000,000 lines of Circular 10/2021 in a watched folder, as a logger's SFTP account brings them after a month
without a link, until all of them are on disk. Target: 300,000 lines a second of one core's time, everything in it:
reading, believing, journal, history, the analyzer."""

import os
import pathlib
import tempfile
import time

from common import QUICK, ROOT, conftest, cpu_seconds, say

FILES, SLOTS = (4, 50) if QUICK else (500, 400)
SYMBOLS = [("pH", "7.12", "-"), ("Temp", "28.4", "oC"), ("EC", "15.2", "mS/cm"), ("Sal", "8.85", "g/L"), ("DO", "5.6", "mg/L")]
START = (int(time.time()) - 145 * 86_400) // 300 * 300


def write(folder, number):
    """A file of many slots: what a logger makes of a gap."""
    rows = []
    for slot in range(SLOTS):
        stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(START + (number * SLOTS + slot) * 60))
        rows += [f"{symbol}\t{value}\t{unit}\t{stamp}\t00\r\n" for symbol, value, unit in SYMBOLS]
    name = f"S{number % 50:02}_{stamp}.txt"
    (folder / name).write_text("".join(rows), newline="")
    return len(rows)


def main():
    with tempfile.TemporaryDirectory(dir=ROOT / "artefacts") as root:
        folder, staged = pathlib.Path(root) / "in", pathlib.Path(root) / "staged"
        folder.mkdir()
        staged.mkdir()
        lines = sum(write(staged, number) for number in range(FILES))
        saltline = conftest.Engine(root, ingest={"drop": [
            {"name": "gap", "dir": str(folder), "settle": "1ms", "every": "100ms"}]})
        saltline.pack(stations__toml="".join(
            f'[[station]]\ncode = "s{n:02}"\nname = "{n}"\ninterval = "5m"\nknown_as = ["S{n:02}"]\n' for n in range(50)))
        saltline.start()
        pid = saltline.process.pid
        cpu, began = cpu_seconds(pid), time.monotonic()
        for path in staged.iterdir():
            os.rename(path, folder / path.name)
        conftest.wait_for("every line on disk", lambda: saltline.metric("saltline_readings_received_total") == lines, 600, 0.05)
        durable, used = time.monotonic() - began, cpu_seconds(pid) - cpu
        conftest.wait_for("every line in history", lambda: saltline.metric("saltline_readings_stored_total") == lines, 600, 0.05)
        whole = cpu_seconds(pid) - cpu
        done = len([path for path in (folder / "done").iterdir() if path.suffix == ".txt"])
        rate = lines / max(used, 0.01)
        say({"bench": "circular 10 files", "lines": lines, "files": FILES, "files_done": done, "durable_s": round(durable, 3),
             "lines_per_s": round(lines / durable), "core_s_to_durable": round(used, 3), "lines_per_core_s": round(rate),
             "above_300000": rate >= 300_000, "core_s_to_history": round(whole, 3),
             "unaccounted": saltline.metric("saltline_readings_unaccounted")})
        saltline.stop(60)


if __name__ == "__main__":
    main()
