"""The flags of `ioos_qc` itself, on random records: spikes, holes, frozen runs, jitter. `analytics/examples/judge.rs`
judges the same records under a plan that bridges gaps; every flag is to be the same. Where the two are not meant to
agree stands in `docs/quality.md`."""

import subprocess

import numpy as np
import pandas as pd
import pytest

from conftest import ROOT, TARGET

qartod = pytest.importorskip("ioos_qc.qartod")
JUDGE = TARGET / "examples/judge"
MISSING, GOOD, UNKNOWN = 9, 1, 2


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """Runs the example on times (ms) and values; returns its flags by test."""
    if not JUDGE.exists():
        subprocess.run(["cargo", "build", "--locked", "-p", "analytics", "--example", "judge"], cwd=ROOT, check=True, timeout=900)
    folder = tmp_path_factory.mktemp("plans")

    def run(plan, times_ms, values):
        path = folder / "plan.toml"
        path.write_text(plan)
        rows = "".join(f"{at},{'' if np.isnan(value) else repr(float(value))}\n" for at, value in zip(times_ms, values))
        done = subprocess.run([JUDGE, path], input=rows, capture_output=True, text=True, timeout=120, check=True)
        lines = [line.split(",") for line in done.stdout.splitlines()]
        columns = dict(zip(lines[0], zip(*lines[1:])))
        assert [int(at) for at in columns["time_ms"]] == list(times_ms)
        return {name: np.array([int(flag) for flag in column]) for name, column in columns.items() if name != "time_ms"}

    return run


def record(seed):
    """A tide with what goes wrong. Times on the grid of the interval, or with up to a tenth of it of jitter."""
    rng = np.random.default_rng(seed)
    interval_s = int(rng.choice([300, 600, 900, 3600]))
    n = int(rng.integers(3, 900))
    steps = np.full(n, interval_s)
    if rng.random() < 0.5:
        steps = steps + rng.integers(-interval_s // 10, interval_s // 10 + 1, n)
    if rng.random() < 0.5:
        steps = np.where(rng.random(n) < 0.02, steps * rng.integers(2, 200, n), steps)
    times_s = 1_704_067_200 + np.cumsum(steps)
    values = 4 + 3 * np.sin(times_s / 7114) + rng.normal(0, 0.05, n)
    values = np.where(rng.random(n) < 0.02, values + rng.normal(0, 8, n), values)
    for _ in range(int(rng.integers(0, 6))):
        at, long = int(rng.integers(0, n)), int(rng.integers(1, 80))
        kind = rng.random()
        values[at:at + long] = np.nan if kind < 0.4 else values[at] + (rng.normal(0, 0.004, len(values[at:at + long])) if kind < 0.7 else 0)
    if rng.random() < 0.7:
        values = np.round(values, 2)
    return rng, interval_s, times_s, values


def limits(rng, interval_s, median_s):
    """Limits for both sides; times are whole seconds, rates per hour here and per second there."""
    suspect_n, extra = int(rng.integers(1, 12)), int(rng.integers(1, 24))
    period_n = int(rng.integers(4, 48))
    low, high = sorted(np.round(rng.uniform(-2, 12, 2), 3))
    return {
        "gross": ([float(low) - 1.5, float(high) + 2.5], [float(low), float(high) + 0.5]),
        "spike": sorted(float(x) for x in np.round(rng.uniform(0.05, 4, 2), 3)),
        "rate_per_hour": sorted(float(x) for x in np.round(rng.uniform(0.2, 40, 2), 3)),
        "flat": (suspect_n * median_s, (suspect_n + extra) * median_s + int(rng.integers(0, median_s)), float(rng.choice([0.011, 0.05, 0.3]))),
        "attenuated": (period_n * interval_s, float(np.round(rng.uniform(0.6, 3), 3)), float(np.round(rng.uniform(0.01, 0.5), 3)), int(rng.integers(1, period_n // 2 + 1))),
        "months": (1, int(rng.integers(1, 3))),
    }


def plan(it, median_s, check):
    pair = lambda span: f"[{span[0]!r}, {span[1]!r}]"
    period, suspect, fail, min_obs = it["attenuated"]
    return f"""
interval_s = {median_s}
gap_s = {max(7200, median_s)}
gaps = "bridge"
utc_offset_s = 0
gross = {{ fail = {pair(it['gross'][0])}, suspect = {pair(it['gross'][1])} }}
spike_average = {{ suspect = {it['spike'][0]!r}, fail = {it['spike'][1]!r} }}
spike_differential = {{ suspect = {it['spike'][0]!r}, fail = {it['spike'][1]!r} }}
rate = {{ suspect_per_hour = {it['rate_per_hour'][0]!r}, fail_per_hour = {it['rate_per_hour'][1]!r} }}
flat = {{ suspect_h = {it['flat'][0] / 3600!r}, fail_h = {it['flat'][1] / 3600!r}, tolerance = {it['flat'][2]!r} }}
attenuated = {{ period_h = {period / 3600!r}, suspect = {suspect!r}, fail = {fail!r}, min_obs = {min_obs}, check = "{check}" }}
[[climatology]]
period = "month"
from = {it['months'][0]}
to = {it['months'][1]}
suspect = {pair(it['gross'][1])}
fail = {pair(it['gross'][0])}
[[climatology]]
period = "week"
from = 3
to = 4
suspect = [3.0, 5.0]
"""


def expected(it, times, values, check):
    period, suspect, fail, min_obs = it["attenuated"]
    members = [
        {"tspan": it["months"], "vspan": it["gross"][1], "fspan": it["gross"][0], "period": "month"},
        {"tspan": (3, 4), "vspan": (3.0, 5.0), "period": "week"},
    ]
    rate = [per_hour / 3600 for per_hour in it["rate_per_hour"]]
    flags = {
        "gross_range": qartod.gross_range_test(values, *it["gross"]),
        "spike_average": qartod.spike_test(values, *it["spike"], method="average"),
        "spike_differential": qartod.spike_test(values, *it["spike"], method="differential"),
        "rate_of_change": qartod.rate_of_change_test(values, times, *rate),
        "flat_line": qartod.flat_line_test(values, times, *it["flat"]),
        "attenuated_signal": qartod.attenuated_signal_test(
            values, times, suspect, fail, test_period=period, min_obs=min_obs, check_type=check),
        "climatology": qartod.climatology_test(members, values, times, np.full(len(values), np.nan)),
        "timing": qartod.time_gap_test(times, fail_span=2),
    }
    return {name: np.ma.filled(flag, MISSING).astype(int) for name, flag in flags.items()}


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("check", ["std", "range"])
def test_every_flag_is_the_flag_of_ioos_qc(judge, seed, check):
    rng, interval_s, times_s, values = record(seed)
    times = pd.to_datetime(times_s, unit="s").to_numpy().astype("datetime64[ns]")
    # Their flat line counts in the median step of the whole record, which a stream has to be told.
    median_s = int(np.median(np.diff(times)).astype("timedelta64[s]").astype(int))
    it = limits(rng, interval_s, median_s)
    ours, theirs = judge(plan(it, median_s, check), times_s * 1000, values), expected(it, times, values, check)
    present = ~np.isnan(values)
    for name, flags in theirs.items():
        scored = np.ones(len(values), bool)
        if name == "climatology":
            scored = present  # a row without a value is 1 there; here it is 9
        if name == "timing":
            scored[0] = False  # the first inherits from the second there; here nothing is known of it
        differ = np.flatnonzero(scored & (ours[name] != flags))
        assert not len(differ), (name, seed, [(int(i), int(ours[name][i]), int(flags[i]), values[max(0, i - 2):i + 3]) for i in differ[:5]])
