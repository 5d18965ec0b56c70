"""The engine as a person runs it, and peers that none of us wrote. One folder a test, port 0, waits for states."""

import json
import os
import pathlib
import queue
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / os.environ.get("SALTLINE_PROFILE", "debug")
SALTLINE = TARGET / "saltline"
SIM = TARGET / "firmware-sim"
ARTEFACTS = ROOT / "artefacts"


# The longest first: whoever begins last with a story of a minute and a half keeps all others waiting.
LONG = ("test_demo", "test_suites", "test_power", "test_benches", "test_firmware", "test_storm")


def pytest_collection_modifyitems(items):
    """Files in the order in which the workers should take them (with `--no-loadscope-reorder`)."""
    place = {name: at for at, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONG)))


def wait_for(what, look, seconds=20.0, pause=0.02):
    """Waits until `look` returns something true and returns it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(pause)
    raise AssertionError(f"waited {seconds} s for {what}")


class Lines:
    """The JSON lines of a process's output, as they come."""

    def __init__(self, stream):
        self.seen, self.queue = [], queue.Queue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        for line in stream:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            self.seen.append(row)
            self.queue.put(row)

    def next(self, seconds=20.0):
        return self.queue.get(timeout=seconds)

    def of(self, kind):
        return [row for row in list(self.seen) if row.get("kind") == kind]


def toml(value):
    """A value as TOML writes it on one line: as JSON does, but for tables."""
    if isinstance(value, list):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


class Engine:
    """`saltline run` on a data folder of its own."""

    def __init__(self, folder, **sections):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.config = self.folder / "saltline.toml"
        self.log = self.folder / "saltline.log"
        self.process = None
        self.env = None
        self.sections = {
            "data": {"dir": str(self.data)},
            "mqtt": {"listen": "127.0.0.1:0"},
            "http": {"listen": "127.0.0.1:0"},
            "engine": {"tick": "200ms", "start_grace": "5s"},
        }
        for name, keys in sections.items():
            self.sections.setdefault(name.replace("__", "."), {}).update(keys)
        self.write_config()

    def write_config(self):
        text = "".join(
            f"[{name}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in keys.items())
            for name, keys in self.sections.items()
        )
        self.config.write_text(text)

    def start(self):
        log = open(self.log, "ab")
        self.process = subprocess.Popen(
            [SALTLINE, "run", "--config", self.config], stdout=subprocess.PIPE, stderr=log, env=self.env
        )
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"no ready line: {self.log.read_text()[-2000:]}")
        ready = json.loads(line)
        assert ready["ready"] is True
        self.mqtt = int(ready["mqtt"].rsplit(":", 1)[1])
        self.mqtts = ready["mqtts"] and int(ready["mqtts"].rsplit(":", 1)[1])
        self.http = f"http://{ready['http']}"
        return self

    def stop(self, seconds=30):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(seconds)
        return self.process.returncode if self.process else None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def cli(self, *words, stdin=None, code=0):
        done = subprocess.run(
            [SALTLINE, *words, "--config", self.config], input=stdin, text=True, capture_output=True, timeout=60
        )
        assert done.returncode == code, (done.returncode, done.stderr)
        return done.stdout

    def station(self, code, *words):
        return json.loads(self.cli("station", "add", code, *words, "-o", "json"))["key"]

    def pack(self, **files):
        folder = self.folder / "pack"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)
        self.cli("import", str(folder))

    def get(self, path):
        with urllib.request.urlopen(self.http + path, timeout=30) as answer:
            return json.loads(answer.read())

    def text(self, path):
        try:
            with urllib.request.urlopen(self.http + path, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name):
        status, text = self.text("/metrics")
        assert status == 200
        found = re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+-]+)$", text, re.M)
        return sum(float(value) for value in found)

    def behind(self, follower):
        """Acknowledged records that a follower of the journal has not seen; `None` where there is none of that name."""
        found = re.search(
            rf'^saltline_journal_behind_records{{follower="{follower}"}} (\S+)$', self.text("/metrics")[1], re.M)
        return float(found.group(1)) if found else None

    def readings(self, station, parameter, start="2000-01-01T00:00:00Z", end="2100-01-01T00:00:00Z"):
        """Every reading of a series, page by page as `Link: rel="next"` leads. What was acknowledged before is among them,
        unless history is kept from following for more than 5 s."""
        end_of_wait = time.monotonic() + 5
        while self.behind("history") and time.monotonic() < end_of_wait:
            time.sleep(0.02)
        path = f"/api/v1/stations/{station}/readings?parameter={parameter}&from={start}&to={end}"
        rows = []
        while path:
            with urllib.request.urlopen(self.http + path, timeout=60) as answer:
                rows += json.loads(answer.read())["readings"]
                link = re.search(r'<([^>]*)>;\s*rel="?next"?', answer.headers.get("Link", ""))
            path = link and link.group(1).removeprefix(self.http)
        return rows


@pytest.fixture
def engine(tmp_path):
    """Makes engines; whatever still runs at the end is ended."""
    made = []

    def make(**sections):
        made.append(Engine(tmp_path, **sections))
        return made[-1]

    yield make
    for one in made:
        if one.process and one.process.poll() is None:
            one.kill()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Smsc:
    """The SMSC of the npm package `smpp`, in a process that can go away and come back on the same port."""

    def __init__(self):
        self.port = free_port()
        self.process, self.lines = None, None
        self.before = []

    def start(self):
        self.process = subprocess.Popen(
            ["node", "smsc.mjs", str(self.port)], cwd=pathlib.Path(__file__).parent,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.lines = Lines(self.process.stdout)
        assert self.lines.next()["kind"] == "ready"
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.before += self.lines.of("sms")
            self.process.kill()
            self.process.wait()
            self.lines.seen.clear()

    def sms(self):
        return self.before + (self.lines.of("sms") if self.lines else [])

    def throttle(self, count):
        self.process.stdin.write(f"throttle {count}\n")
        self.process.stdin.flush()


@pytest.fixture
def smsc():
    server = Smsc()
    yield server
    server.stop()


class Mailbox:
    """aiosmtpd with a name, a password and STARTTLS."""

    def __init__(self, folder):
        self.port, self.messages, self.controller, self.folder = free_port(), [], None, folder

    async def handle_DATA(self, server, session, envelope):
        import email
        import email.policy

        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.messages.append({
            "to": envelope.rcpt_tos, "from": envelope.mail_from, "subject": message["subject"],
            "body": message.get_body(("plain",)).get_content(), "id": message["message-id"],
            "tls": session.ssl is not None,
        })
        return "250 taken"

    def start(self):
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import AuthResult

        def authenticate(server, session, envelope, mechanism, auth):
            good = auth.login == b"saltline" and auth.password == b"secret"
            return AuthResult(success=good)

        self.controller = Controller(
            self, hostname="127.0.0.1", port=self.port, authenticator=authenticate,
            auth_required=True, auth_require_tls=False,
        )
        self.controller.start()
        return self

    def stop(self):
        if self.controller:
            self.controller.stop()
            self.controller = None


@pytest.fixture
def mailbox(tmp_path):
    box = Mailbox(tmp_path)
    yield box
    box.stop()


RULES = """
[[rule]]
code = "intake"
name = "Độ mặn lấy nước"
parameter = "salinity"
stations = ["xuan-hoa"]
hold = "0s"
levels = [{ limit = 1.0, clear = 0.8 }, { limit = 4.0, clear = 3.5 }]
"""

ROSTER = """
[[person]]
id = "ba-tu"
name = "Bà Tư"
phone = "+84900000001"
language = "vi-unmarked"

[[person]]
id = "duty"
name = "Trực ban"
email = "duty@example.org"
language = "vi"

[[duty]]
person = "ba-tu"
channel = "sms"

[[duty]]
person = "duty"
channel = "email"
"""
