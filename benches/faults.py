"""What the tests of one series find of faults that are put into real records, and what they call good water.

    python benches/faults.py [--debug]       needs polars and numpy, and ../shared/data

The same faults at the same places as `benches/sentinel.py` (20 days in the second half of each record, seeds fixed), judged by
the defaults of salinity (`analytics/src/quality/defaults.rs`), nothing tuned, and by the pace of each station
(`analytics/src/quality/pace`), learned from what its first half has of readings that nobody called bad or suspect. For each fault: the share of its readings that
each test calls suspect or bad beyond what it says of the same readings without the fault, how long until six hours of them
are, and where none are within the 20 days. Then what station teams rejected or called suspect, and the readings and the
events of good water that are called bad for each station-year. Then the same of the pace that is learned from spoiled first
halves, and what the pace and the sentinel of `benches/sentinel.py` find together.
"""

import subprocess
import tempfile

import numpy as np
from sentinel import DAY, FAULTS, SERIES, example, inject, place, record, run, score, show

TESTS = ["gross_range", "spike_differential", "rate_of_change", "flat_line", "unit_slip"]
EVENT = 6 * 3_600_000


def lines(times, values):
    return "".join(f"{at},{'' if np.isnan(value) else repr(float(value))}\n" for at, value in zip(times, values))


def begin(times):
    """The defaults that hold where nothing is typed."""
    return f"salinity/coast/{int(np.median(np.diff(times)) // 1000)}"


def half_of(times):
    return times[0] + (times[-1] - times[0]) // 2


def good_half(times, values, truths):
    """What may be learned from: nobody called it bad or suspect."""
    good = (times < half_of(times)) & (truths["salinity"] != 1)
    return times[good], values["salinity"][good]


def spoiled_half(times, values, truths):
    """The same with garbage in it that nobody has called bad: one reading in a hundred a spike of 10 psu, three readings in a
    hundred noise in one piece, as many frozen in another."""
    times, salt = good_half(times, values, truths)
    random, salt, part = np.random.default_rng([7, len(times)]), salt.copy(), len(times) * 3 // 100
    hit = random.choice(len(salt), len(salt) // 100, replace=False)
    salt[hit] += random.choice([-1, 1], len(hit)) * 10.0
    noise, frozen = random.choice(len(salt) // part - 1, 2, replace=False) * part
    salt[noise:noise + part] = random.uniform(0.0, 35.0, part)
    salt[frozen:frozen + part] = salt[frozen]
    return times, salt


def learned(binary, folder, name, record, history):
    """How a record's own pace is asked for, and what it is."""
    good, of = f"{folder}/{history.__name__}-{name}.csv", begin(record[0])
    with open(good, "w") as file:
        file.write(lines(*history(*record)))
    with open(good) as file:
        said = subprocess.run([binary, "--learn", of, name.split("_")[0]], stdin=file, capture_output=True, text=True)
    print(said.stdout or f"# {name}: {said.stderr}")
    return ["--learned", of, good] if not said.returncode else ["--defaults", of]


def judged(binary, by, times, values):
    """Of each test and of all (`worst`) the flag of each reading; 0 where it did not run."""
    out = subprocess.run([binary, *by], input=lines(times, values), capture_output=True, text=True, check=True).stdout
    head, *rows = out.splitlines()
    columns = np.array([row.split(",") for row in rows], dtype=np.int64).T
    assert (columns[0] == times).all(), "a flag for each reading"
    return dict(zip(head.split(",")[1:], columns[1:]))


def wrong(flags):
    return np.isin(flags, (3, 4))


def until_seen(times, begin, end, more):
    """Days until six hours' worth of readings are flagged; None where they never are."""
    step = np.median(np.diff(times))
    seen = np.flatnonzero(np.cumsum(more[begin:end]) >= EVENT / step)
    return (times[begin + seen[0]] - times[begin]) / DAY if len(seen) else None


def injected(binary, by, records, clean):
    print("Faults put in: share of their readings flagged, by test and at all; median until six hours of them are, and of how many records")
    print("| fault | " + " | ".join(TESTS) + " | any | seen after | of |")
    print("|---" * (len(TESTS) + 4) + "|")
    for kind in FAULTS:
        shares, took = {name: [] for name in (*TESTS, "worst")}, []
        for name, (times, values, truths) in records.items():
            begin, end, random = place(kind, name, times, truths)
            faulty = inject(kind, times, values["salinity"], begin, end, random)
            touched = np.zeros(len(times), bool)
            touched[begin:end] = ~np.isnan(faulty[begin:end])
            if kind == "spikes":
                touched &= faulty != values["salinity"]
            flags = judged(binary, by[name], times, faulty)
            for test in shares:
                if test in flags:
                    more = wrong(flags[test]) & ~wrong(clean[name][test]) & touched
                    shares[test].append(more.sum() / max(touched.sum(), 1))
                    if test == "worst":
                        took.append(until_seen(times, begin, end, more))
        seen = [days for days in took if days is not None]
        cells = [f"{100 * np.mean(shares[name]):.1f} %" if shares[name] else "–" for name in (*TESTS, "worst")]
        print(f"| {kind} | " + " | ".join(cells) + f" | {f'{np.median(seen):.1f} d' if seen else '–'} | {len(seen)}/{len(took)} |", flush=True)


def real(records, clean):
    print("\nReal records, second halves: of what the teams rejected or called suspect, found; of good readings, called suspect, and bad")
    print("| record | found | of | good suspect | good bad | bad events a year |")
    print("|---|---|---|---|---|---|")
    sums, years_of_all, events_of_all = np.zeros(5), 0.0, 0
    for name, (times, _, truths) in records.items():
        half = half_of(times)
        later, worst, truth = times >= half, clean[name]["worst"], truths["salinity"]
        bad, good = later & (truth == 1), later & (truth == 0)
        four = good & (worst == 4)
        begun = np.diff(times[four], prepend=-(1 << 60)) > EVENT
        years = (times[-1] - half) / DAY / 365.25
        now = np.array([(bad & wrong(worst)).sum(), bad.sum(), (good & (worst == 3)).sum(), four.sum(), good.sum()], float)
        sums, years_of_all, events_of_all = sums + now, years_of_all + years, events_of_all + begun.sum()
        print(row(name, now, begun.sum() / years))
    print(row("**pooled**", sums, events_of_all / years_of_all))


def by_test(records, clean):
    print("\nThe same good readings, called suspect or bad by each test")
    print("| record | " + " | ".join(TESTS) + " |")
    print("|---" * (len(TESTS) + 1) + "|")
    for name, (times, _, truths) in records.items():
        good = (times >= half_of(times)) & (truths["salinity"] == 0)
        cells = [f"{100 * wrong(clean[name][test])[good].mean():.2f} %" if test in clean[name] else "–" for test in TESTS]
        print(f"| {name} | " + " | ".join(cells) + " |")


def together(records, clean):
    """The tests of single readings and the sentinel, each flagging what it flags."""
    print("\n## The pace and the sentinel together, second halves\n")
    binary, pooled = example("sentinel"), {}
    for name, (times, values, truths) in records.items():
        half = half_of(times)
        why, _ = run(binary, times, values, truths, times < half)
        watched, tested = why["salinity"] != 0, wrong(clean[name]["worst"])
        for who, flagged in {"sentinel": watched, "pace": tested, "both": watched | tested}.items():
            four = score(flagged, truths["salinity"], times >= half)
            pooled[who] = pooled.get(who, np.zeros(4, int)) + four
            show(f"{name} {who}", four)
    for who, four in pooled.items():
        show(f"POOLED {who}", four)


def row(name, said, events):
    found, bad, suspect, four, good = said
    recall = f"{100 * found / bad:.1f} %" if bad else "–"
    return f"| {name} | {recall} | {bad:.0f} | {100 * suspect / good:.2f} % | {100 * four / good:.2f} % | {events:.1f} |"


def main():
    if not SERIES.exists():
        print(f"skipped: {SERIES} is not there")
        return
    paths = [p for p in sorted(SERIES.glob("*.parquet")) if "xuan" not in p.name and "met" not in p.name]
    records = {p.stem: record(p) for p in paths}
    binary = example("judge")
    with tempfile.TemporaryDirectory() as folder:
        ways = {
            "the defaults": {name: ["--defaults", begin(times)] for name, (times, _, _) in records.items()},
            "what spoiled halves teach": {name: learned(binary, folder, name, it, spoiled_half) for name, it in records.items()},
            "what good halves teach": {name: learned(binary, folder, name, it, good_half) for name, it in records.items()},
        }
        for way, by in ways.items():
            print(f"\n## By {way}\n")
            clean = {name: judged(binary, by[name], times, values["salinity"]) for name, (times, values, _) in records.items()}
            injected(binary, by, records, clean)
            real(records, clean)
            by_test(records, clean)
        together(records, clean)


if __name__ == "__main__":
    main()
