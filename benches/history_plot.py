"""Cost over size: what `benches/history.py --grow …` said of ours, as a picture in `docs/`.

    benches/history_plot.py RESULTS.jsonl docs/history-growth.svg
"""

import json
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "saltline"
from matplotlib import pyplot  # noqa: E402

QUESTIONS = {"raw": "one series, a year raw", "daily": "one series by days", "latest": "latest of all", "above": "hours above a limit, all stations",
             "season points=1000": "a year's chart, 1,000 points", "tidal days": "one series by tidal days"}


def main(results, picture):
    rows = [json.loads(line) for line in open(results)]
    ours = sorted((row for row in rows if row.get("store") == "saltline"), key=lambda row: row["readings"])
    millions = [row["readings"] / 1e6 for row in ours]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 5), layout="constrained")
    for name, label in QUESTIONS.items():
        left.plot(millions, [row["answers"][name]["ms"] for row in ours], marker="o", label=label)
    left.set(xscale="log", yscale="log", xlabel="million readings", ylabel="ms, warm median over HTTP", title="Questions")
    left.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2)
    right.plot(millions, [1e6 / row["readings_per_cpu_s"] for row in ours], marker="o", label="µs of CPU a reading, import")
    right.plot(millions, [row["bytes_per_reading"] for row in ours], marker="s", label="bytes a reading on disk, settled")
    right.set(xscale="log", xlabel="million readings", title="What a reading costs")
    right.set_ylim(bottom=0)
    right.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0, -0.16))
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    main(*sys.argv[1:])
