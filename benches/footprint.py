"""Footprint: resident memory with 2,000 stations that each report six values every 10 s, and the time from start to
ready with the journal of 30 days (250 stations every 5 minutes: 2.16 million reports). Targets: 150 MiB, 1 s.
"""

import json
import pathlib
import tempfile
import time

from common import QUICK, ROOT, conftest, engine_under_load, load, resident_mib, say, start_load

STATIONS, REPORTS_EACH, JOURNAL = (50, 2, 2_000) if QUICK else (2_000, 24, 2_160_000)


def main():
    with tempfile.TemporaryDirectory(dir=ROOT / "artefacts") as folder:
        folder = pathlib.Path(folder)
        engine, keys = engine_under_load(folder, STATIONS)
        engine.start()
        running = start_load(engine.mqtt, keys, STATIONS, 1, REPORTS_EACH, rate=STATIONS / 10)
        peak = 0.0
        while running.poll() is None:
            peak = max(peak, resident_mib(engine.process.pid))
            time.sleep(0.2)
        said = json.loads(running.stdout.read().strip().splitlines()[-1])
        say({"bench": "memory", "stations": STATIONS, "reports": said["messages"], "minutes": REPORTS_EACH / 6,
             "rss_mib_peak": round(peak, 1), "below_150_mib": peak < 150})
        load(engine.mqtt, keys, 50, 100, JOURNAL // 50)
        wait = lambda: engine.metric("saltline_readings_unaccounted") == 0
        conftest.wait_for("history to catch up", wait, 300)
        size = sum(path.stat().st_size for path in (engine.data / "journal").glob("*.seg"))
        for how, end in (("SIGTERM", lambda: engine.stop(60)), ("kill -9", engine.kill)):
            end()
            began = time.monotonic()
            engine.start()
            took = time.monotonic() - began
            say({"bench": "start", "after": how, "journal_reports": JOURNAL, "journal_mib": round(size / 2**20),
                 "start_to_ready_s": round(took, 3), "below_1_s": took < 1.0, "rss_mib": round(resident_mib(engine.process.pid), 1)})
            time.sleep(2)
        engine.kill()


if __name__ == "__main__":
    main()
