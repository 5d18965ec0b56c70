"""All tests of one series that `ioos_qc` also has, over the same record, there and here in one run: two years of 15-minute
conductivities of a failing sensor (`../shared/data`), or a made tide where they are not. Reading the file is not counted
on either side. Target: ten times as fast."""

import subprocess
import tempfile
import time
import warnings

import numpy as np
import pandas as pd
from ioos_qc import qartod

from common import QUICK, ROOT, conftest, say

RECORD = ROOT.parent / "shared/data/series/apadb_2012_2013.parquet"
JUDGE = conftest.TARGET / "examples/judge"
ROWS, REPEAT = (5_000, 3) if QUICK else (70_000, 20)
GROSS, SPIKE, RATE, FLAT, SWING = ((0, 70), (1, 60)), (1.5, 4.5), (3.0, 9.0), (3_600, 10_800, 0.05), (43_200, 0.6, 0.15, 24)
PLAN = """
interval_s = 900
gap_s = 7200
gaps = "bridge"
utc_offset_s = 0
gross = { fail = [0.0, 70.0], suspect = [1.0, 60.0] }
spike_average = { suspect = 1.5, fail = 4.5 }
spike_differential = { suspect = 1.5, fail = 4.5 }
rate = { suspect_per_hour = 3.0, fail_per_hour = 9.0 }
flat = { suspect_h = 1.0, fail_h = 3.0, tolerance = 0.05 }
attenuated = { period_h = 12.0, suspect = 0.6, fail = 0.15, min_obs = 24, check = "%s" }
climatology = [{ period = "month", from = 1, to = 6, suspect = [10.0, 50.0], fail = [2.0, 60.0] }]
"""


def record():
    """Times and values on the grid of the record; NaN where nothing came."""
    if RECORD.exists():
        rows = pd.read_parquet(RECORD, filters=[("parameter", "==", "spcond25")])
        series = rows.drop_duplicates("time_utc").set_index("time_utc")["value"]
        series = series.reindex(pd.date_range(series.index.min(), series.index.max(), freq="15min"))
    else:
        times = pd.date_range("2024-01-01", periods=ROWS, freq="15min")
        noise = np.random.default_rng(1).normal(0, 0.1, len(times))
        series = pd.Series(20 + 8 * np.sin(np.arange(len(times)) / 7.9) + noise, times)
    series = series.iloc[:ROWS]
    index = series.index if series.index.tz is None else series.index.tz_convert(None)
    return index.to_numpy().astype("datetime64[ns]"), series.to_numpy(float)


def theirs(times, values, check):
    """Flags by test, and the seconds that they took."""
    depth, started = np.full(len(values), np.nan), time.perf_counter()
    flags = {
        "gross_range": qartod.gross_range_test(values, *GROSS),
        "spike_average": qartod.spike_test(values, *SPIKE, method="average"),
        "spike_differential": qartod.spike_test(values, *SPIKE, method="differential"),
        "rate_of_change": qartod.rate_of_change_test(values, times, RATE[0] / 3600, RATE[1] / 3600),
        "flat_line": qartod.flat_line_test(values, times, *FLAT),
        "attenuated_signal": qartod.attenuated_signal_test(
            values, times, SWING[1], SWING[2], test_period=SWING[0], min_obs=SWING[3], check_type=check),
        "climatology": qartod.climatology_test(
            [{"tspan": (1, 6), "vspan": (10, 50), "fspan": (2, 60), "period": "month"}], values, times, depth),
        "timing": qartod.time_gap_test(times, fail_span=2),
    }
    return flags, time.perf_counter() - started


def ours(times, values, check):
    """The same from `analytics/examples/judge.rs`: the fold of the stream over the record."""
    rows = "".join(f"{at},{'' if np.isnan(value) else repr(float(value))}\n"
                   for at, value in zip(times.astype("datetime64[ms]").astype(int), values))
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as plan:
        plan.write(PLAN % check)
        plan.flush()
        run = lambda *more: subprocess.run([JUDGE, plan.name, *more], input=rows, capture_output=True, text=True, check=True).stdout
        printed, seconds = run(), float(run("--repeat", str(REPEAT)))
    lines = [line.split(",") for line in printed.splitlines()]
    return {name: np.array(column, int) for name, column in zip(lines[0], zip(*lines[1:]))}, seconds


def differing(ours, theirs, values):
    """Flags that are not the same, where they are meant to be (`docs/quality.md`)."""
    scored = {"climatology": ~np.isnan(values), "timing": np.arange(len(values)) > 0}
    everywhere = np.ones(len(values), bool)
    return sum(int((scored.get(name, everywhere) & (ours[name] != np.ma.filled(flags, 9))).sum()) for name, flags in theirs.items())


def main():
    warnings.simplefilter("ignore")
    if not JUDGE.exists():
        release = ["--release"] if conftest.TARGET.name == "release" else []
        subprocess.run(["cargo", "build", "--locked", *release, "-p", "analytics", "--example", "judge"], cwd=ROOT, check=True)
    times, values = record()
    for check in ("std", "range"):
        theirs(times[:500], values[:500], check)  # what is loaded late is loaded now
        (their_flags, their_s), (our_flags, our_s) = theirs(times, values, check), ours(times, values, check)
        say({"bench": "quality beside ioos_qc", "swing": check, "rows": len(values), "real_record": RECORD.exists(),
             "ioos_qc_s": round(their_s, 4), "saltline_s": round(our_s, 5), "times_as_fast": round(their_s / our_s, 1),
             "above_10": their_s / our_s >= 10, "flags_that_differ": differing(our_flags, their_flags, values)})


if __name__ == "__main__":
    main()
