"""What a department asks of a series: how it is spread, how much of it is there, and in forms that its own programs read.
Answers are compared with numpy, pandas, pyarrow and DuckDB on the same readings."""

import io
import json
import random

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import wait_for
from test_push import iso, post, pushing, stored  # noqa: F401 (a fixture)

START = 1_735_664_400  # 2025-01-01T00:00:00+07:00
STEP = 1_800


@pytest.fixture
def year(pushing):  # noqa: F811
    """Ninety days of half hours with holes, bad values and a tide, imported beside the engine."""
    chance = random.Random(7)
    rows = []
    for n in range(90 * 48):
        if 1_000 <= n < 1_100 or chance.random() < 0.02:
            continue
        salt = round(4 + 3 * np.sin(n / 24.84 * np.pi * 2) + chance.gauss(0, 0.3), 3)
        rows.append((START + n * STEP, salt, 4 if n % 97 == 0 else 1))
    path = pushing.folder / "year.csv"
    lines = [f"{iso(at)},xuan-hoa,salinity,{value},g/L,{flag}" for at, value, flag in rows]
    path.write_text("time_utc,station,parameter,value,unit,source_flag\n" + "\n".join(lines) + "\n")
    pushing.cli("import", str(path))
    frame = pd.DataFrame(rows, columns=["at", "value", "flag"])
    frame["local"] = pd.to_datetime(frame["at"], unit="s", utc=True).dt.tz_convert("Asia/Ho_Chi_Minh")
    wait_for("history", lambda: len(pushing.readings("xuan-hoa", "salinity")) == len(rows), 60)
    return pushing, frame


RANGE = f"parameter=salinity&from={iso(START)}&to={iso(START + 90 * 86_400)}"
AT = "/api/v1/stations/xuan-hoa"


def test_percentiles_and_exceedance_are_those_of_numpy_by_month_and_hour(year):
    saltline, frame = year
    good = frame[frame.flag == 1]
    asked = f"{AT}/statistics?{RANGE}&percentiles=5,50,99.5&above=1,4,6.5"
    for by, keys in [("all", []), ("month", ["month"]), ("hour", ["hour"]), ("month-hour", ["month", "hour"])]:
        said = {tuple(g[key] for key in keys): g for g in saltline.get(f"{asked}&by={by}")["groups"]}
        parts = {"month": good.local.dt.month, "hour": good.local.dt.hour}
        right = good.groupby([parts[key] for key in keys]).value if keys else [((), good.value)]
        right = {key if isinstance(key, tuple) else (key,): values.to_numpy() for key, values in right}
        assert set(said) == set(right)
        for key, values in right.items():
            group = said[key]
            assert (group["count"], group["min"], group["max"]) == (len(values), values.min(), values.max())
            assert group["mean"] == pytest.approx(values.mean(), rel=1e-12)
            for percent in ("5", "50", "99.5"):
                assert group["percentiles"][percent] == pytest.approx(np.percentile(values, float(percent)), rel=1e-12)
            for limit in ("1", "4", "6.5"):
                assert group["at_or_above"][limit] == pytest.approx((values >= float(limit)).mean(), abs=1e-15)


def test_what_is_missing_is_counted_and_named(year):
    saltline, frame = year
    said = saltline.get(f"{AT}/availability?{RANGE}&every=month&gap=1h")
    came = frame.groupby(frame.local.dt.strftime("%Y-%m")).size()
    usable = frame[frame.flag == 1].groupby(frame.local.dt.strftime("%Y-%m")).size()
    interval = saltline.get(AT)["interval_s"]
    for row, month, days in zip(said["intervals"], ["2025-01", "2025-02", "2025-03"], [31, 28, 31]):
        assert (row["came"], row["usable"]) == (came[month], usable[month])
        assert row["expected"] == days * 86_400 // interval
    times = [START, *frame[frame.flag == 1]["at"], START + 90 * 86_400]
    gaps = [(iso(a), iso(b)) for a, b in zip(times, times[1:]) if b - a > 3_600]
    assert [(gap["from"].replace(".000", ""), gap["to"].replace(".000", "")) for gap in said["gaps"]] == gaps and said["more_gaps"] == 0
    assert max(gap["seconds"] for gap in said["gaps"]) == max(b - a for a, b in zip(times, times[1:]))
    empty = saltline.get(f"{AT}/availability?parameter=salinity&from=2024-01-01T00:00:00Z&to=2024-02-01T00:00:00Z&every=day")
    assert len(empty["intervals"]) == 32 and {row["came"] for row in empty["intervals"]} == {0} and len(empty["gaps"]) == 1


def test_other_programs_read_the_columns(year):
    saltline, frame = year
    url = f"{saltline.http}{AT}/readings?{RANGE}"

    def fetch(more="", accept=None):
        import urllib.request
        request = urllib.request.Request(url + more, headers={"Accept": accept} if accept else {})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.headers, answer.read()

    for more, accept in [("&format=parquet", None), ("", "application/vnd.apache.parquet")]:
        headers, body = fetch(more, accept)
        assert headers["Content-Type"] == "application/vnd.apache.parquet" and headers["ETag"]
        table = pq.read_table(io.BytesIO(body)).to_pandas()
        assert list(table.columns) == ["time_utc", "station", "parameter", "value", "unit", "source_flag"]
        assert list(table.value) == list(frame.value) and list(table.source_flag.astype(int)) == list(frame.flag)
        assert list(table.time_utc.astype("datetime64[s, UTC]").astype("int64")) == list(frame["at"])
    for more, accept in [("&format=arrow", None), ("", "application/vnd.apache.arrow.stream, application/json")]:
        headers, body = fetch(more, accept)
        assert headers["Content-Type"] == "application/vnd.apache.arrow.stream"
        assert pa.ipc.open_stream(body).read_all().to_pandas().equals(table)
    path = saltline.folder / "answer.parquet"
    path.write_bytes(fetch("&format=parquet")[1])
    assert duckdb.sql(f"select count(*), max(value) from '{path}'").fetchall() == [(len(frame), frame.value.max())]
    # And the same again comes in as nothing new.
    again = json.loads(saltline.cli("import", str(path), "-o", "json"))
    assert "stored" not in again or again["stored"] == 0, again


def test_an_outsider_reads_the_sealed_files_themselves(year):
    """No program of ours in between: of a station and time the row with the highest position counts."""
    saltline, frame = year
    lines = [json.dumps({"time": int(at), "replay": True, "values": {"salinity": 9.5}}) for at in frame["at"].iloc[[3, 500]]]
    assert post(saltline.push, "\n".join(lines), saltline.key, "application/x-ndjson")[0] == 202
    wait_for("the corrections", lambda: sum(row["value"] == 9.5 for row in saltline.readings("xuan-hoa", "salinity")) == 2)
    assert saltline.stop() == 0
    files = f"{saltline.data}/history/*.parquet"
    rows = duckdb.sql(f"""select epoch(taken_at)::bigint as seconds, "salinity.value"::double as value, "salinity.flag"::int as flag
                          from '{files}' where station = 'xuan-hoa' and "salinity.flag" is not null
                          qualify row_number() over (partition by station, taken_at order by position desc) = 1 order by seconds""").df()
    frame.loc[frame.index[[3, 500]], ["value", "flag"]] = (9.5, 1)
    assert list(rows.seconds) == list(frame["at"]) and list(rows.value) == list(frame.value)
    # What came as good was tested again, and nothing else changed.
    assert list(rows.flag) == list(frame.flag)


def test_a_map_reads_stations_newest_values_and_readings(pushing):  # noqa: F811
    import time
    pushing.cli("station", "add", "vam-giong", "--lat", "10.3", "--lon", "106.6")
    at = iso(time.time() // 60 * 60)
    assert post(pushing.push, json.dumps([{"time": at, "values": {"salinity": 2.5}}]), pushing.key)[0] == 202
    stored(pushing, "salinity", 1)
    stations = pushing.get("/api/v1/stations?format=geojson")
    assert stations["type"] == "FeatureCollection"
    places = {feature["id"]: feature["geometry"] for feature in stations["features"]}
    assert places == {"vam-giong": {"type": "Point", "coordinates": [106.6, 10.3]}, "xuan-hoa": None}
    latest, = pushing.get("/api/v1/latest?format=geojson")["features"]
    assert latest["properties"]["latest"][0]["value"] == 2.5
    feature = pushing.get(f"{AT}/readings?parameter=salinity&format=geojson")
    assert (feature["type"], feature["properties"]["readings"][0]["value"]) == ("Feature", 2.5)


def test_a_question_that_means_nothing_is_told_so(pushing):  # noqa: F811
    for path, word in [
        (f"{AT}/statistics", "`parameter` is missing"),
        (f"{AT}/statistics?parameter=salinity&by=week", "`by` is one of"),
        (f"{AT}/statistics?parameter=salinity&percentiles=101", "between 0 and 100"),
        (f"{AT}/statistics?parameter=salinity&percentiles=a", "numbers"),
        (f"{AT}/statistics?parameter=salinity&above=nan", "numbers"),
        (f"{AT}/statistics?parameter=salinity&above={','.join('1' * 21)}", "up to 20"),
        (f"{AT}/statistics?parameter=wind_direction", "no percentiles"),
        (f"{AT}/availability?parameter=salinity&every=1s&from=2020-01-01T00:00:00Z", "more than"),
        (f"{AT}/readings?parameter=salinity&every=1h&format=parquet", "arrow and parquet hold readings"),
        (f"{AT}/readings?parameter=salinity&format=xml", "`format` is one of"),
        ("/api/v1/latest?format=csv", "json or geojson"),
        ("/api/v1/stations?format=arrow", "json or geojson"),
    ]:
        status, text = pushing.text(path)
        assert status == 400 and word in json.loads(text)["detail"], (path, text)
