"""The sentinel against what station teams rejected or called suspect, and against faults that are put in.

    python benches/sentinel.py [--debug]       needs polars and numpy, and ../shared/data

Learned (the envelope) from the good readings of the first half of each record; scored on the second half. Prints the
fault table of docs/sentinel.md. Without ../shared it says so and does nothing.
"""

import json
import math
import pathlib
import subprocess
import sys

import numpy as np
import polars as pl

ROOT = pathlib.Path(__file__).resolve().parents[1]
SERIES = ROOT.parent / "shared/data/series"
OURS = {
    "salinity": "salinity", "spcond25": "conductivity_25", "water_temp": "water_temperature", "do": "dissolved_oxygen",
    "ph": "ph", "turbidity": "turbidity", "depth": "water_level", "level": "water_level",
}
DAY = 86_400_000


def example(name="sentinel"):
    """Builds the example and answers where it lies."""
    profile = [] if "--debug" in sys.argv else ["--release"]
    command = ["cargo", "build", "--locked", "-p", "analytics", "--example", name, "--message-format=json", *profile]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    made = [json.loads(line).get("executable") for line in lines]
    return next(it for it in made if it and "examples" in it)


def record(path):
    """Times, values and truth (1 bad or suspect, 0 good, -1 neither) of one record."""
    rows = pl.read_parquet(path).with_columns(pl.col("source_flag").cast(pl.String), pl.col("parameter").cast(pl.String))
    flag = pl.col("source_flag").str.extract(r"<(-?\d)>")
    truth = pl.when(flag.is_in(["-3", "-4", "-5", "1"])).then(1).when(flag.is_in(["0", "3", "4", "5"])).then(0).otherwise(-1)
    rows = rows.filter(pl.col("parameter").is_in(list(OURS))).with_columns(truth=truth)
    wide = lambda column: rows.pivot(on="parameter", index="time_utc", values=column, aggregate_function="first").sort("time_utc")
    values, truths = wide("value"), wide("truth")
    times = values["time_utc"].dt.epoch("ms").to_numpy()
    names = values.columns[1:]
    return times, {n: values[n].to_numpy().astype(float) for n in names}, {n: truths[n].fill_null(-1).to_numpy() for n in names}


def run(binary, times, values, truths, learn):
    """What the example says: per parameter the reason of each reading, the revisions, the orders."""
    names = list(values)
    text = ["time,learn," + ",".join(OURS[n] for n in names)]
    columns = [[repr(float(v)) if math.isfinite(v) else "" for v in values[n]] for n in names]
    for i, at in enumerate(times):
        good = "".join("1" if truths[n][i] == 0 else "0" for n in names) if learn[i] else ""
        text.append(f"{at},{good}," + ",".join(column[i] for column in columns))
    step = int(np.median(np.diff(times)) // 1000)
    out = subprocess.run([binary, "{}", str(step)], input="\n".join(text) + "\n", capture_output=True, text=True, check=True).stdout
    back = {OURS[n]: n for n in names}
    why, orders = {n: np.zeros(len(times), dtype=object) for n in names}, []
    for line in out.splitlines():
        kind, at, what, *rest = line.split(",")
        if kind == "M":
            why[back[what]][np.searchsorted(times, int(at))] = rest[0]
        elif kind == "R":
            i, j = np.searchsorted(times, [int(rest[1]), int(rest[2])])
            why[back[what]][i:j] = rest[0]
        elif kind == "O":
            orders.append((int(at), what))
    return why, orders


def score(flagged, truth, where):
    bad, good = where & (truth == 1), where & (truth == 0)
    return np.array([(flagged & bad).sum(), bad.sum(), (flagged & good).sum(), good.sum()])


def show(name, four, more=""):
    found, bad, wrong, good = four
    recall = f"{found / bad:6.1%}" if bad else "     –"
    print(f"{name:24s} recall {recall} of {bad:6d}   good flagged {wrong / max(good, 1):6.2%} of {good:6d}   {more}")


FAULTS = {
    "fouling 3 %/day": lambda x, d: x * np.exp(-0.03 * d),
    "fouling 6 %/day": lambda x, d: x * np.exp(-0.06 * d),
    "fouling 12 %/day": lambda x, d: x * np.exp(-0.12 * d),
    "fouling 25 %/day": lambda x, d: x * np.exp(-0.25 * d),
    "drift -0.2 psu/day": lambda x, d: np.maximum(x - 0.2 * d, 0.0),
    "freeze": lambda x, d: np.full_like(x, x[0] if len(x) else 0.0),
    "burial": lambda x, d: np.nanmean(x[:100]) + (x - np.nanmean(x[:100])) * np.exp(-d),
    "unit slip x 1000": lambda x, d: x * 1000.0,
    "spikes": None,
    "clock jump +6 h": None,
}


def inject(kind, times, salt, begin, end, random):
    """The same salinity with a fault between two places."""
    salt = salt.copy()
    part = salt[begin:end]
    days = (times[begin:end] - times[begin]) / DAY
    if kind == "spikes":
        hit = begin + random.choice(end - begin, (end - begin) // 50, replace=False)
        salt[hit] += random.choice([-1, 1], len(hit)) * 10.0
    elif kind.startswith("clock"):
        salt[begin:end] = np.roll(part, -int(6 * 3_600_000 // np.median(np.diff(times))))
    else:
        salt[begin:end] = FAULTS[kind](part, days)
    return salt


def place(kind, name, times, truths):
    """Where a fault of this kind goes into this record: first and last of 20 days in its second half, and the dice."""
    random = np.random.default_rng([7, len(name), list(FAULTS).index(kind)])
    half = times[0] + (times[-1] - times[0]) // 2
    good = np.flatnonzero((times > half + 30 * DAY) & (times < times[-1] - 30 * DAY) & (truths["salinity"] == 0))
    begin = int(random.choice(good))
    return begin, int(np.searchsorted(times, times[begin] + 20 * DAY)), random


def real(binary, records):
    print("\nReal records, second halves, salinity")
    pooled, others, false, years = np.zeros(4, int), {}, 0, 0.0
    for name, (times, values, truths) in records.items():
        half = times[0] + (times[-1] - times[0]) // 2
        why, orders = run(binary, times, values, truths, times < half)
        later = times >= half
        for n in values:
            key = OURS[n]
            others[key] = others.get(key, np.zeros(4, int)) + score(why[n] != 0, truths[n], later)
        bad = times[truths["salinity"] == 1]
        calls = [at for at, _ in orders if at >= half]
        wrong = [at for at in calls if not ((bad > at - 10 * DAY) & (bad < at + 10 * DAY)).any()]
        span = (times[-1] - half) / DAY / 365.25
        false, years = false + len(wrong), years + span
        four = score(why["salinity"] != 0, truths["salinity"], later)
        pooled += four
        reasons = sorted({r for r in why["salinity"][later] if r})
        show(name, four, f"orders {len(calls)}, false {len(wrong)} in {span:.1f} a   {' '.join(reasons)}")
    show("POOLED", pooled, f"false orders {false / years:.2f} per station-year")
    print("\nThe other parameters, pooled over the same halves (not tuned for)")
    for key, four in others.items():
        show(key, four)


def injected(binary, records):
    print("\nFaults put into the second halves (20 days each, seeds fixed): order within 5 days, readings flagged")
    for kind in FAULTS:
        found, tried, took, flagged, total = 0, 0, [], 0, 0
        for name, (times, values, truths) in records.items():
            begin, end, random = place(kind, name, times, truths)
            half = times[0] + (times[-1] - times[0]) // 2
            broken = {**values, "salinity": inject(kind, times, values["salinity"], begin, end, random)}
            # Without the specific conductance: it is the same cell, and would have the same fault.
            broken.pop("spcond25", None)
            why, orders = run(binary, times, broken, {n: truths[n] for n in broken}, times < half)
            part = why["salinity"][begin:end]
            flagged, total, tried = flagged + (part != 0).sum(), total + len(part), tried + 1
            calls = [(at - times[begin]) / DAY for at, _ in orders if times[begin] <= at <= times[end - 1]]
            if calls:
                took.append(min(calls))
                found += min(calls) < 5
        middle = f"{np.median(took):4.1f} d" if took else "–"
        print(f"{kind:20s} ordered within 5 days {found}/{tried}, at all {len(took)}/{tried}, median {middle}; flagged {flagged / total:5.1%}")


def main():
    if not SERIES.exists():
        print(f"skipped: {SERIES} is not there")
        return
    paths = [p for p in sorted(SERIES.glob("*.parquet")) if "xuan" not in p.name and "met" not in p.name]
    records = {p.stem: record(p) for p in paths}
    binary = example()
    real(binary, records)
    injected(binary, records)


if __name__ == "__main__":
    main()
