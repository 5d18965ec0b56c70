"""`saltline demo` as a newcomer sees it, opened in Chromium; the pictures are kept to be looked at."""

import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request

import pytest

from conftest import ARTEFACTS, SALTLINE, wait_for

CHROMIUM = shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def start(folder, speed):
    demo = subprocess.Popen(
        [SALTLINE, "demo", "--speed", str(speed), "--data", folder / "demo", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"],
        stdout=subprocess.PIPE, stderr=open(folder / "demo.log", "ab"), text=True)
    url = demo.stdout.readline().strip()
    assert url.startswith("http://"), (folder / "demo.log").read_text()[-3000:]
    return demo, url


def page(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def picture(url, name, width, height, folder, dark=False):
    if not CHROMIUM:
        pytest.skip("no Chromium here")
    ARTEFACTS.mkdir(exist_ok=True)
    # Virtual time would wait for ever for the live events of a page with script.
    path = ARTEFACTS / f"{name}.png"
    path.unlink(missing_ok=True)
    extra = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []
    subprocess.run(
        [CHROMIUM, *FLAGS, *extra, f"--user-data-dir={folder}/chromium-{name}", f"--window-size={width},{height}",
         "--timeout=5000", f"--screenshot={path}", url], check=True, capture_output=True, timeout=120)
    assert path.stat().st_size > 10_000, f"{path} is an empty picture"
    return path


def test_the_demo_warns_on_the_rising_tide_clears_after_the_ebb_and_goes_on_after_a_power_cut(tmp_path):
    demo, url = start(tmp_path, 240)
    children = []
    try:
        began = time.monotonic()
        wait_for("the SMS on /outbox", lambda: "CANH BAO" in page(f"{url}/outbox").upper(), 120, 0.5)
        print(f"warned after {time.monotonic() - began:.0f} s at speed 240")
        picture(f"{url}/", "home-phone", 390, 844, tmp_path)
        picture(f"{url}/", "home-desk", 1280, 1000, tmp_path)
        picture(f"{url}/?lang=en", "home-night", 390, 844, tmp_path, dark=True)
        picture(f"{url}/s/xuan-hoa", "station-phone", 390, 844, tmp_path)
        picture(f"{url}/s/xuan-hoa", "station-desk", 1280, 1000, tmp_path)
        picture(f"{url}/outbox", "outbox", 390, 844, tmp_path)
        assert len(page(f"{url}/").encode()) < 50_000
        wait_for("the all-clear", lambda: '"state":"cleared"' in page(f"{url}/api/v1/alerts").replace(" ", ""), 240, 0.5)
        before = page(f"{url}/api/v1/alerts")
        ids = set(re.findall(r'"id": ?"([^"]+)"', before))
        demo.kill()
        demo.wait()
        demo, url = start(tmp_path, 240)
        after = page(f"{url}/api/v1/alerts")
        assert ids <= set(re.findall(r'"id": ?"([^"]+)"', after)), "an alert is missing after the power cut"
    finally:
        demo.send_signal(signal.SIGINT)
        try:
            demo.wait(40)
        except subprocess.TimeoutExpired:
            demo.kill()
        children = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True).stdout.split()
    assert not [pid for pid in children if int(pid) != os.getpid()], "the simulator outlived the demo"
