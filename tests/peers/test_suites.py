"""Test suites that others wrote for brokers, as far as the registries have them, run against us.

- Eclipse Paho's Go client (Go module proxy): the functional verification tests of 3.1.1 in its module.
- gmqtt (PyPI): `tests/test_mqtt5.py` of its source package, which follows Paho's interoperability tests of 5.0.

Paho's own `paho.mqtt.testing` and `mqtt5-conformance` are in no registry. `SALTLINE_SUITES_HOST` names a broker that
runs already; port 1883 is what both suites expect.
"""

import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tarfile

import pytest

from conftest import Engine

GMQTT = "gmqtt==0.8.0"
# A client without an id gets one from gmqtt itself, so that there is nothing for us to assign; TLS has tests of ours.
NOT_FOR_US = "not test_assigned_clientid and not test_basic_ssl"


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """An address of this machine on which port 1883 is ours."""
    if os.environ.get("SALTLINE_SUITES_HOST"):
        yield os.environ["SALTLINE_SUITES_HOST"]
        return
    address = free_address()
    engine = Engine(tmp_path_factory.mktemp("suites"), mqtt={"listen": f"{address}:1883"})
    engine.config.write_text(engine.config.read_text() + '\n[[mqtt.anonymous]]\ngrants = ["readwrite:#"]\n')
    engine.start()
    yield address
    assert engine.stop() == 0


def free_address():
    for _ in range(20):
        address = f"127.{random.randrange(1, 250)}.{random.randrange(250)}.{random.randrange(1, 250)}"
        with socket.socket() as probe:
            try:
                probe.bind((address, 1883))
                return address
            except OSError:
                continue
    raise AssertionError("port 1883 is taken on twenty addresses")


@pytest.fixture(scope="module")
def both(host, tmp_path_factory):
    """Both suites at once: they sleep more than they work."""
    running = {"go": start_go(host), "gmqtt": start_gmqtt(host, tmp_path_factory.mktemp("gmqtt"))}
    yield running
    for process in running.values():
        if not isinstance(process, str) and process.poll() is None:
            process.kill()


def start_go(host):
    if not shutil.which("go"):
        return "go is not there"
    folder = pathlib.Path(__file__).parent / "paho_go"
    module = "github.com/eclipse/paho.mqtt.golang"
    fetched = subprocess.run(["go", "mod", "download"], cwd=folder, capture_output=True, text=True, timeout=120)
    if fetched.returncode:
        return f"the module cannot be had: {fetched.stderr.strip()[-200:]}"
    return subprocess.Popen(
        ["go", "test", "-count=1", "-timeout=240s", "-v", module], cwd=folder, text=True,
        env={**os.environ, "TEST_FVT_ADDR": host, "GOFLAGS": "-mod=readonly"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def start_gmqtt(host, folder):
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(folder), GMQTT]
    fetched = subprocess.run(pip, capture_output=True, text=True, timeout=120)
    if fetched.returncode:
        return f"the source package cannot be had: {fetched.stderr.strip()[-200:]}"
    with tarfile.open(next(folder.glob("gmqtt-*.tar.gz"))) as package:
        package.extractall(folder, filter="data")
    source = next(path for path in folder.glob("gmqtt-*") if path.is_dir())
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-c", os.devnull, "--rootdir", str(source),
         "tests/test_mqtt5.py", "-k", NOT_FOR_US],
        cwd=source, text=True, env={**os.environ, "HOST": host, "USERNAME": "", "PYTHONPATH": str(source)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def passed(process, expected):
    if isinstance(process, str):
        pytest.skip(process)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-6000:]
    assert expected in output, output[-2000:]


def test_pahos_go_client_verifies_3_1_1(both):
    passed(both["go"], "--- PASS: Test_ResumeSubsMaxInflight")


def test_gmqtt_verifies_5_0(both):
    passed(both["gmqtt"], "14 passed")
