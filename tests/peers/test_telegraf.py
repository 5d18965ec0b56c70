"""Telegraf itself, with both of its InfluxDB outputs, feeds the engine through kills and restarts. It is not in Debian;
`go install` builds it with the few plugins that are used here in some three minutes:

    go install -tags custom,inputs.tail,outputs.influxdb,outputs.influxdb_v2,serializers.influx,parsers.influx \\
        github.com/influxdata/telegraf/cmd/telegraf@v1.37.2

With `inputs.mqtt_consumer,parsers.json` among the tags the same program serves `benches/chain.py`.
"""

import shutil
import subprocess
import time

import pytest

from conftest import free_port, wait_for

# Telegraf waits for the answer of each batch; what is not answered stays in its buffer and is sent again.
AGENT = """
[agent]
interval = "200ms"
flush_interval = "200ms"
metric_batch_size = 100
metric_buffer_limit = 100000
omit_hostname = true
[[inputs.tail]]
files = ["%s"]
from_beginning = true
data_format = "influx"
"""

V1 = """
[[outputs.influxdb]]
urls = ["%(http)s"]
database = "xuan-hoa"
skip_database_creation = true
username = "xuan-hoa"
password = "%(key)s"
timeout = "2s"
"""

V2 = """
[[outputs.influxdb_v2]]
urls = ["%(http)s"]
token = "%(key)s"
organization = "any"
bucket = "xuan-hoa"
timeout = "2s"
"""


@pytest.mark.parametrize("output", [V1, V2], ids=["write", "api_v2_write"])
def test_telegraf_loses_nothing_through_kills(engine, tmp_path, output):
    if not shutil.which("telegraf"):
        pytest.skip("telegraf is not installed (go install, as this file says)")
    port = free_port()
    saltline = engine(http={"listen": f"127.0.0.1:{port}"}).start()
    key = saltline.station("xuan-hoa")
    lines, config, log = tmp_path / "lines.txt", tmp_path / "telegraf.conf", open(tmp_path / "telegraf.log", "ab")
    lines.write_text("")
    config.write_text(AGENT % lines + output % {"http": saltline.http, "key": key})
    telegraf = subprocess.Popen(["telegraf", "--config", config], stdout=log, stderr=log)
    first, sent = int(time.time()) - 10_000, 0

    def say(seconds, pace=400):
        nonlocal sent
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with open(lines, "a") as out:
                for _ in range(pace // 20):
                    out.write(f'water,probe=upper salinity={sent / 1000},pump="on" {first + sent}000000000\n')
                    sent += 1
            time.sleep(0.05)

    def stored():
        rows = saltline.readings("xuan-hoa", "salinity")
        assert len(rows) == len({row["time"] for row in rows}), "a reading is doubled"
        return {round(row["value"] * 1000) for row in rows}

    try:
        say(1)
        wait_for("the first of them", lambda: telegraf.poll() is None and stored(), 60)
        for _ in range(3):
            saltline.kill()
            say(1)
            saltline.start()
            say(1)
        wait_for("all of them", lambda: len(stored()) == sent, 90, 0.2)
        assert stored() == set(range(sent))
        wait_for("the accounts", lambda: saltline.metric("saltline_readings_unaccounted") == 0)
        assert saltline.metric("saltline_readings_refused_total") == 0
    finally:
        telegraf.terminate()
        telegraf.wait(20)
    assert saltline.stop() == 0
