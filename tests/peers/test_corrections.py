"""The corrections desk in a real browser: by keys, by finger, and without any script."""

import json
import shutil
import urllib.error
import urllib.parse
import urllib.request

import pytest
from conftest import ARTEFACTS, wait_for
from test_contract import NoRedirect, Person
from test_push import iso, post, pushing  # noqa: F401 (a fixture)

CHROMIUM = shutil.which("chromium")
START = 1_772_323_200  # 2026-03-01T00:00:00Z, 07:00 in Vietnam
STEP = 900
COUNT = 96
PAGE = f"/admin/series/xuan-hoa/salinity?from={iso(START)}&to={iso(START + COUNT * STEP)}"


def sent(n):
    return 99.0 if n == 50 else round(2 + (n % 20) / 10, 2)


@pytest.fixture
def series(pushing):  # noqa: F811
    body = [{"time": iso(START + n * STEP), "values": {"salinity": sent(n)}} for n in range(COUNT)]
    assert post(pushing.push, json.dumps(body), pushing.key)[0] == 202
    wait_for("history", lambda: len(pushing.readings("xuan-hoa", "salinity")) == COUNT)
    pushing.person, pushing.viewer = Person(pushing, "truc"), Person(pushing, "xem")
    return pushing


@pytest.fixture
def page(series):
    """Somebody on duty, at the desk, on a laptop."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1200, "height": 900}, timezone_id="America/New_York")
        name, _, value = series.person.cookie.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": series.http}])
        page = context.new_page()
        troubles = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: said.type == "error" and troubles.append(said.text))
        page.goto(series.http + PAGE)
        page.wait_for_selector("output.readout")
        yield page
        assert troubles == []
        browser.close()


def shown(saltline, layer="best"):
    rows = saltline.get(f"/api/v1/stations/xuan-hoa/readings?parameter=salinity&from={iso(START)}&to={iso(START + COUNT * STEP)}&layer={layer}")
    return [row["value"] for row in rows["readings"]]


def form(saltline, path, person=None, **fields):
    """What the form without script sends; the address that it leads to, or the refusal."""
    person = person or saltline.person
    body = urllib.parse.urlencode({"csrf": person.csrf, "lang": "vi", **fields}).encode()
    request = urllib.request.Request(saltline.http + path, data=body, method="POST", headers={"Cookie": person.cookie})
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("Location") or error.read().decode()


def read(saltline, path, person=None):
    request = urllib.request.Request(saltline.http + path, headers={"Cookie": (person or saltline.person).cookie})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def test_by_keys_alone_a_spike_is_removed_and_brought_back(page, series):
    raw = shown(series, "raw")
    page.focus("svg.series")
    page.keyboard.press("Home")
    for _ in range(5):
        page.keyboard.press("Control+ArrowRight")
    assert "99,00" in page.inner_text("output.readout") and "1 số đo được chọn" in page.inner_text("output.readout")
    # The browser is in New York, the river is not.
    assert page.input_value("[name=edit_from]") == "2026-03-01T19:30" == page.input_value("[name=edit_to]")
    page.keyboard.press("r")
    page.keyboard.type("gai do dien")
    page.keyboard.press("Escape")
    page.focus("svg.series")
    page.keyboard.press("t")
    page.wait_for_selector("[role=status]")
    assert "1 số đo sẽ thay đổi" in page.inner_text("[role=status]") and page.locator("path.tried").count() == 1
    assert shown(series) == raw, "a try changes nothing"
    page.wait_for_selector("output.readout")
    assert "csrf" not in page.url
    page.focus("svg.series")
    page.keyboard.press("g")
    page.wait_for_selector("article.edit")
    wait_for("the edit", lambda: shown(series)[50] is None)
    assert shown(series, "raw") == raw
    page.keyboard.press("u")
    page.keyboard.type("that ra la that")
    page.keyboard.press("Enter")
    page.wait_for_selector("article.edit .none")
    wait_for("its end", lambda: shown(series) == raw)


def test_a_finger_chooses_a_range_and_shift_goes_on(page, series):
    box = page.locator("svg.series").bounding_box()
    x = lambda part: box["x"] + box["width"] * (0.044 + 0.948 * part)
    page.mouse.move(x(0.25), box["y"] + 100)
    page.mouse.down()
    page.mouse.move(x(0.40), box["y"] + 120, steps=4)
    page.mouse.move(x(0.50), box["y"] + 120, steps=4)
    page.mouse.up()
    assert "25 số đo được chọn" in page.inner_text("output.readout")
    page.focus("svg.series")
    page.keyboard.press("Shift+ArrowRight")
    assert "26 số đo được chọn" in page.inner_text("output.readout")
    page.keyboard.press("o")
    assert page.is_visible("[name=by]") and not page.is_visible("[name=start]")
    page.keyboard.type("-0,25")
    page.fill("form.edit [name=reason]", "lech so voi mau nuoc")
    page.click("button.make")
    page.wait_for_selector("article.edit")
    right = [round(sent(n) - 0.25, 9) if 24 <= n <= 49 else sent(n) for n in range(COUNT)]
    wait_for("the edit", lambda: [round(value, 9) for value in shown(series)] == right)
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "corrections-desk.png")
    page.set_viewport_size({"width": 390, "height": 844})
    page.screenshot(path=ARTEFACTS / "corrections-phone.png")
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=ARTEFACTS / "corrections-night.png")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it is wider than a phone"


def test_without_script_it_is_tried_made_and_taken_back(series):
    fields = {"from": iso(START), "to": iso(START + COUNT * STEP), "edit_from": "2026-03-01T07:00", "edit_to": "2026-03-01T09:00:00",
              "act": "drift", "start": "0", "end": "−0,8", "reason": "đầu đo bị bẩn"}
    status, tried = form(series, "/admin/series/xuan-hoa/salinity", **fields)
    assert status == 200 and shown(series) == [sent(n) for n in range(COUNT)]
    # At its beginning a drift of nothing changes the value by nothing, and calls it corrected.
    assert "8 số đo sẽ thay đổi" in tried and 'value="−0,8"' in tried
    status, where = form(series, "/admin/series/xuan-hoa/salinity/edits", **fields)
    assert status == 303 and where.startswith("/admin/series/xuan-hoa/salinity?from=2026-03-01T00:00:00")
    assert shown(series)[9:] == [sent(n) for n in range(9, COUNT)] and shown(series)[8] < sent(8)
    made = read(series, where)
    assert "bù trôi +0,000 → −0,800" in made and "đầu đo bị bẩn" in made and "truc" in made
    status, where = form(series, "/admin/series/xuan-hoa/salinity/edits/1/withdraw", **{**fields, "reason": "nhầm trạm"})
    assert status == 303 and shown(series) == [sent(n) for n in range(COUNT)]
    assert "nhầm trạm" in read(series, where)


@pytest.mark.parametrize("wrong, why", [
    ({"by": "nhiều"}, "not a number"), ({"edit_from": "hôm qua"}, "not a time"), ({"edit_to": "2026-02-01T00:00"}, "not before"),
    ({"reason": ""}, "reason"), ({"act": "double"}, "one of"), ({"by": "1e300"}, "between"),
])
def test_what_means_nothing_is_refused_in_words_and_changes_nothing(series, wrong, why):
    fields = {"edit_from": "2026-03-01T07:00", "edit_to": "2026-03-01T09:00", "act": "offset", "by": "1", "reason": "đo lại bằng tay", **wrong}
    status, said = form(series, "/admin/series/xuan-hoa/salinity/edits", **fields)
    assert 400 <= status < 500 and why in said, said
    if wrong.get("reason") != "":
        status, tried = form(series, "/admin/series/xuan-hoa/salinity", **{"from": iso(START), "to": iso(START + 7200), **fields})
        assert status == 200 and 'role="alert"' in tried and why in tried
    assert shown(series) == [sent(n) for n in range(COUNT)]


def test_who_may_not_correct_sees_nothing_and_changes_nothing(series):
    fields = {"edit_from": "2026-03-01T07:00", "edit_to": "2026-03-01T09:00", "act": "remove", "reason": "không thích"}
    path = "/admin/series/xuan-hoa/salinity/edits"
    assert form(series, path, series.viewer, **fields)[0] == 403
    assert form(series, path, csrf="another", **fields)[0] == 403
    with pytest.raises(urllib.error.HTTPError) as refused:
        read(series, PAGE, series.viewer)
    assert refused.value.code == 403
    # Nobody at all is led to where one signs in.
    with urllib.request.urlopen(series.http + PAGE, timeout=30) as answer:
        assert answer.url.endswith("/login")
    assert shown(series) == [sent(n) for n in range(COUNT)]
    assert "Hiệu chỉnh số liệu" in read(series, "/desk") and "/admin/series/xuan-hoa/salinity" in read(series, "/admin/series")


def test_a_season_fits_on_a_page_of_less_than_100_kb(series):
    rows = [f"{iso(START + n * 300)},xuan-hoa,salinity,{round(3 + (n * 7919 % 1000) / 500, 3)},g/L" for n in range(90 * 288)]
    path = series.folder / "season.csv"
    path.write_text("time_utc,station,parameter,value,unit\n" + "\n".join(rows) + "\n")
    series.cli("import", str(path))
    wait_for("history", lambda: len(series.readings("xuan-hoa", "salinity")) == len(rows), 60)
    text = read(series, f"/admin/series/xuan-hoa/salinity?from={iso(START)}&to={iso(START + 90 * 86_400)}")
    script = text[text.index("/assets/series-"):].split('"')[0]
    size = len(text.encode()) + sum(len(series.text(path)[1].encode()) for path in (script, text[text.index("/assets/style-"):].split('"')[0]))
    assert size < 100_000, size
