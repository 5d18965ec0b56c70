"""How clean water is by Vietnam's index and classes, out of what probes send and what a laboratory's file brings."""

import json
import time
import urllib.error

import pytest
from conftest import wait_for
from test_push import iso, post, pushing  # noqa: F401 (a fixture)

HOUR = 3600
# The beginning of an hour well inside of the last day.
START = int(time.time()) // HOUR * HOUR - 20 * HOUR
AT = "/api/v1/stations/xuan-hoa/water-quality"
# By hand from the breakpoints of Decision 1460: oxygen 5.0 mg/L is 64.74 % of the 7.7235 mg/L of 28 °C, so 64.74; COD 20, a
# third of the way from 15 (75) to 30 (50), is 66.67; ammonium 0.4, a third of the way from 0.3 to 0.6, too: their mean 66.02;
# coliform 4,000, three fifths of the way from 2,500 (100) to 5,000 (75), is 85; pH 7 is 100. (66.02² · 85)^(1/3) = 71.83.
RIVER = {"ph": 7.0, "dissolved_oxygen": 5.0, "water_temperature": 28.0, "cod": 20.0, "ammonium": 0.4}


@pytest.fixture
def river(pushing):  # noqa: F811
    """Twelve hours of a probe, every half hour."""
    lines = [json.dumps({"time": START + n * HOUR / 2, "replay": True, "values": RIVER}) for n in range(24)]
    assert post(pushing.push, "\n".join(lines), pushing.key, "application/x-ndjson")[0] == 202
    wait_for("history", lambda: len(pushing.readings("xuan-hoa", "ammonium")) == 24)
    return pushing


def laboratory(saltline, count, name="coliform", unit="MPN/100 mL"):
    table, path = saltline.folder / "lab.toml", saltline.folder / f"{name}.csv"
    table.write_text(f'[parameters]\n{name} = {{ new = "{name}", unit = "{unit}", name_vi = "{name}", name_en = "{name}" }}\n')
    path.write_text(f"time_utc,station,parameter,value,unit\n{iso(START + HOUR)},xuan-hoa,{name},{count},{unit}\n")
    saltline.cli("import", str(path), "--create", "--parameters", str(table))
    wait_for("the laboratory's value", lambda: len(saltline.readings("xuan-hoa", name)) == 1)


def asked(saltline, every="1000d", **more):
    words = "".join(f"&{key}={value}" for key, value in more.items())
    return saltline.get(f"{AT}?from={iso(START)}&to={iso(START + 12 * HOUR)}&every={every}{words}")


def test_the_index_is_made_of_what_was_measured_or_says_what_is_missing(river):
    one, = asked(river)["intervals"]
    assert one["wqi"] is None and one["missing"] == [{"groups": 1, "out_of": ["III", "V"]}]
    assert [it["analyte"] for it in one["amounts"]] == ["ph", "dissolved_oxygen", "cod", "ammonium"]
    assert one["water_temperature"] == 28.0
    laboratory(river, 4000)
    one, = asked(river)["intervals"]
    assert (one["wqi"]["value"], one["wqi"]["label"], one["wqi"]["groups"]) == (72, "trung bình", ["I", "IV", "V"])
    subs = one["wqi"]["sub_indices"]
    assert subs == pytest.approx({"ph": 100, "dissolved_oxygen": 64.74, "cod": 66.67, "ammonium": 66.67, "coliform": 85}, abs=0.01)
    assert one["wqi"]["oxygen_without_salt"] is True
    # By the hour the laboratory speaks of one hour only, and of no other.
    hours = asked(river, "1h")["intervals"]
    assert [bool(it["wqi"]) for it in hours] == [False, True] + [False] * 10


def test_the_class_is_that_of_the_table_in_force_and_of_the_worst(river):
    one, = asked(river)["intervals"]
    classes, health = one["tables"]
    assert classes["table"] == "QCVN 08:2023/BTNMT, bảng 2" and classes["grade"] == "C" and classes["to_verify"] is False
    assert classes["each"] == {"ph": "A", "dissolved_oxygen": "B", "cod": "C"} and "bod5" in classes["unmeasured"]
    assert health["grade"] == "vượt giới hạn" and health["each"] == {"ammonium": "vượt giới hạn"}
    # What was measured before it goes by the regulation of its day.
    old = river.folder / "old.csv"
    old.write_text("time_utc,station,parameter,value,unit\n2022-03-01T00:00:00Z,xuan-hoa,cod,20,mg/L\n")
    river.cli("import", str(old))
    before, = wait_for("it", lambda: river.get(f"{AT}?from=2022-03-01T00:00:00Z&to=2022-03-02T00:00:00Z")["intervals"])
    assert before["tables"][0]["table"].startswith("QCVN 08-MT:2015/BTNMT")


def test_pollution_is_time_over_a_limit_and_not_a_spike(river):
    said = {it["analyte"]: it for it in asked(river)["exceedance"]["analytes"]}
    assert set(said) == {"ph", "dissolved_oxygen", "cod"}
    assert said["ph"]["pollution"] == "none" and said["dissolved_oxygen"]["bound"] == "≥ 5"
    cod = said["cod"]
    assert (cod["pollution"], cod["bound"], cod["share"]) == ("held", "≤ 15", 1.0) and cod["over_s"] == 11.5 * HOUR
    assert [it["to"] for it in cod["spells"]] == [iso(START + 11 * HOUR + 1800).replace("Z", ".000Z")]
    kept = {it["analyte"]: it for it in asked(river, **{"class": "C"})["exceedance"]["analytes"]}
    assert kept["cod"]["pollution"] == "none"
    # One spike an hour before the end of what is known is none.
    spike = json.dumps({"time": START + 5 * HOUR, "replay": True, "values": {**RIVER, "ph": 9.2}})
    assert post(river.push, spike, river.key)[0] == 202
    wait_for("the spike", lambda: any(row["value"] == 9.2 for row in river.readings("xuan-hoa", "ph")))
    ph = {it["analyte"]: it for it in asked(river)["exceedance"]["analytes"]}["ph"]
    assert (ph["pollution"], len(ph["spells"]), ph["over_s"]) == ("none", 1, HOUR / 2)


def test_the_first_rain_after_dry_days_is_marked(engine):
    river = engine()
    river.key = river.station("xuan-hoa", "--interval", "1h")
    river.start()
    dry = [{"time": START - 80 * HOUR + n * HOUR, "replay": True, "values": {"rainfall": 0}} for n in range(80)]
    rain = [{"time": START + n * HOUR, "replay": True, "values": {"rainfall": mm}} for n, mm in enumerate([0, 4, 6, 0, 8])]
    url = f"{river.http}/api/v1/stations/xuan-hoa/readings"
    assert post(url, "\n".join(map(json.dumps, dry + rain)), river.key, "application/x-ndjson")[0] == 202
    wait_for("the rain", lambda: len(river.readings("xuan-hoa", "rainfall")) == 85)
    flush, = asked(river)["first_flushes"]
    assert flush == {"from": iso(START).replace("Z", ".000Z"), "until": iso(START + 24 * HOUR).replace("Z", ".000Z"), "rain_mm": 18.0}


def test_of_another_unit_nothing_is_made(river):
    laboratory(river, 0.02, "arsenic", "g/L")
    assert "arsenic" not in json.dumps(asked(river)["intervals"][0]["amounts"])


@pytest.mark.parametrize("words, why", [
    ("class=E", "A, B, C"), ("every=0s", "not an interval"), ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "before"),
    ("from=2024-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "370 days"), ("klasse=B", "not a key"),
    ("every=1s", "9000 intervals"),
])
def test_a_question_that_cannot_be_answered_says_why(river, words, why):
    with pytest.raises(urllib.error.HTTPError) as refused:
        river.get(f"{AT}?{words}")
    assert refused.value.code == 400 and why in json.loads(refused.value.read())["detail"]


def test_the_page_shows_it_in_both_languages_and_to_who_has_no_script(river):
    text = river.text("/s/xuan-hoa")[1]
    assert "Chất lượng nước 24 giờ qua" in text and "chưa tính được" in text and "loại C" in text
    laboratory(river, 4000)
    text = river.text("/s/xuan-hoa")[1]
    assert "VN_WQI 72, trung bình" in text and "6 – 8,5" in text and "vượt" in text
    english = river.text("/s/xuan-hoa?lang=en")[1]
    assert "Water quality, last 24 h" in english and "oxygen as in fresh water" in english
    assert len(text) < 50_000
    # A station of salinity alone says nothing of it.
    river.station("vam-kenh")
    assert "Chất lượng nước" not in river.text("/s/vam-kenh")[1]
