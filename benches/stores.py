"""The stores of others, each in a process of its own on loopback, from an empty folder. Each takes InfluxDB's line protocol at
`/write`. A store is there where its program is named: VictoriaMetrics in $VICTORIA_METRICS, InfluxDB 1.x in $INFLUXD,
QuestDB's jar in $QUESTDB_JAR, or where `make peers` puts it, run with the Java that is there.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import socket
import subprocess
import time

from common import QUICK, ROOT, conftest, ended_after


@dataclasses.dataclass
class Store:
    """How one is started."""

    name: str
    command: list
    port: int
    data: pathlib.Path
    environment: dict = dataclasses.field(default_factory=dict)

    @contextlib.contextmanager
    def running(self):
        """Its process, once it listens; ended with the block."""
        with open(f"{self.data}.log", "wb") as log:
            process = subprocess.Popen(self.command, stdout=log, stderr=log, env={**os.environ, **self.environment})
        with ended_after(process):
            wait_for_port(self.port, process)
            yield process


def victoria(program, folder):
    port, data = conftest.free_port(), folder / "victoria"
    command = [program, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={data}", "-retentionPeriod=10y"]
    return Store("VictoriaMetrics", command, port, data)


def influx(program, folder):
    port, data = conftest.free_port(), folder / "influx"
    data.mkdir()
    config = folder / "influx.toml"
    config.write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{conftest.free_port()}"\n[meta]\ndir = "{data}/meta"\n'
        f'[data]\ndir = "{data}/data"\nwal-dir = "{data}/wal"\n[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n')
    return Store("InfluxDB", [program, "-config", config], port, data)


def questdb(jar, folder):
    port, data = conftest.free_port(), folder / "questdb"
    data.mkdir()
    command = ["java", "-Xmx1g", "-ea", "-p", jar, "-m", "io.questdb/io.questdb.ServerMain", "-d", data]
    return Store("QuestDB", command, port, data, {
        "QDB_HTTP_BIND_TO": f"127.0.0.1:{port}", "QDB_PG_ENABLED": "false", "QDB_LINE_TCP_ENABLED": "false",
        "QDB_HTTP_MIN_ENABLED": "false", "QDB_TELEMETRY_ENABLED": "false"})


def programs():
    """Where the program of each store is, or nothing. `--quick` does without what only `make peers` brings."""
    jars = sorted((ROOT / "tests/peers/questdb/lib").glob("questdb-*.jar"))
    jar = str(jars[-1]) if jars and shutil.which("java") and not QUICK else None
    return {victoria: os.environ.get("VICTORIA_METRICS"), questdb: os.environ.get("QUESTDB_JAR", jar),
            influx: os.environ.get("INFLUXD")}


def wait_for_port(port, process):
    for _ in range(600):
        assert process.poll() is None, "it ended"
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nobody listens on {port}")
