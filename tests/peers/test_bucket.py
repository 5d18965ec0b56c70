"""Backups in a bucket: moto, which speaks S3 as Amazon does and was written by others, on loopback."""

import contextlib
import datetime
import http.client
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from conftest import SALTLINE, free_port, wait_for
from test_clocks import push

moto = pytest.importorskip("moto", reason="moto is not installed (make peers installs it)")
boto3 = pytest.importorskip("boto3")


class Store:
    """An S3 store that may fall and come back empty."""

    def __init__(self, folder, actions=None):
        self.port, self.process, self.folder = free_port(), None, folder
        self.environment = dict(os.environ)
        if actions is not None:
            # After so many requests, keys and signatures are checked.
            self.environment["INITIAL_NO_AUTH_ACTION_COUNT"] = str(actions)

    def start(self):
        log = open(self.folder / "moto.log", "ab")
        self.process = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                                        env=self.environment, stdout=log, stderr=log)
        wait_for("moto", lambda: not socket.socket().connect_ex(("127.0.0.1", self.port)), seconds=60, pause=0.1)
        return self

    def client(self, service="s3", key="saltline", secret="hunter2"):
        return boto3.client(service, endpoint_url=f"http://127.0.0.1:{self.port}", region_name="us-east-1",
                            aws_access_key_id=key, aws_secret_access_key=secret)

    def names(self, bucket="safe"):
        found = self.client().list_objects_v2(Bucket=bucket).get("Contents", [])
        return {it["Key"]: it["Size"] for it in found}

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def store(tmp_path):
    one = Store(tmp_path).start()
    one.client().create_bucket(Bucket="safe")
    yield one
    one.stop()


def backed(engine, tmp_path, port, key="saltline", secret="hunter2"):
    (tmp_path / "id").write_text(key + "\n")
    (tmp_path / "secret").write_text(secret + "\n")
    s3 = {"endpoint": f"http://127.0.0.1:{port}", "allow_http": True,
          "access_key_id_file": str(tmp_path / "id"), "secret_access_key_file": str(tmp_path / "secret")}
    saltline = engine(backup__s3=s3, history={"tail_readings_max": 200, "tail_age_max": "1s"})
    saltline.key = saltline.station("xuan-hoa")
    return saltline


def send(saltline, first, count):
    rows = [{"time": 1_773_273_600 + 60 * n, "replay": True, "values": {"salinity": n / 7}} for n in range(first, first + count)]
    for n in range(0, count, 100):
        assert push(saltline, "xuan-hoa", saltline.key, json.dumps(rows[n:n + 100]))[0] == 202


def backup(saltline, *words, code=0, **environment):
    done = subprocess.run([SALTLINE, "backup", *words, "--config", saltline.config, "-o", "json"], text=True,
                          capture_output=True, timeout=120, env={**os.environ, **environment})
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "hunter2" not in done.stdout + done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


PLACE = "s3://safe/province/tien-giang"


def test_a_bucket_is_as_good_as_a_folder(engine, store, tmp_path):
    saltline = backed(engine, tmp_path, store.port).start()
    send(saltline, 0, 500)
    first = backup(saltline, "create", "--to", PLACE)
    assert first["new_objects"] > 3 and all(name.startswith("province/tien-giang/") for name in store.names())
    send(saltline, 500, 300)
    second = backup(saltline, "create", "--to", PLACE)
    assert 0 < second["new_objects"] < first["files"] and second["journal_end"] >= first["journal_end"] + 300
    listed = backup(saltline, "list", PLACE)
    assert [row["backup"] for row in listed] == [first["backup"], second["backup"]]
    backup(saltline, "verify", PLACE)
    backup(saltline, "verify", PLACE, "--backup", first["backup"])
    # The engine is killed, its folder is gone, and what comes back is what was acknowledged before the backup.
    saltline.kill()
    shutil.rmtree(saltline.data)
    backup(saltline, "restore", PLACE, "--to", str(saltline.data))
    saltline.start()
    wait_for("it is there", lambda: len(saltline.readings("xuan-hoa", "salinity")) == 800)
    assert [row["value"] for row in saltline.readings("xuan-hoa", "salinity")] == [n / 7 for n in range(800)]
    # A folder made of the bucket by others is a folder of backups.
    folder = tmp_path / "copied"
    for name in store.names():
        to = folder / name.removeprefix("province/tien-giang/")
        to.parent.mkdir(parents=True, exist_ok=True)
        store.client().download_file("safe", name, str(to))
    assert backup(saltline, "verify", str(folder))["backup"] == second["backup"]


def test_pruning_gives_notice_before_it_takes_away(engine, store, tmp_path):
    saltline = backed(engine, tmp_path, store.port).start()
    for n in range(3):
        send(saltline, 100 * n, 100)
        backup(saltline, "create", "--to", PLACE)
    before = {name for name in store.names() if "/objects/" in name}
    assert backup(saltline, "prune", PLACE, "--keep", "1") == {"backups": 2, "objects": 0, "bytes": 0}
    marked = {name.rsplit("/", 1)[1] for name in store.names() if "/garbage/" in name}
    assert marked and {name for name in store.names() if "/objects/" in name} == before
    assert backup(saltline, "prune", PLACE, "--keep", "1") == {"backups": 0, "objects": 0, "bytes": 0}, "it is not a day later"
    backup(saltline, "verify", PLACE)
    # What is marked is not counted on: the same data again, and everything of it that was marked is sent and unmarked.
    client = store.client()
    last = next(name for name in store.names() if "/backups/" in name)
    needed = {it["digest"] for it in json.loads(client.get_object(Bucket="safe", Key=last)["Body"].read())["files"]}
    for digest in needed:
        client.put_object(Bucket="safe", Key=f"province/tien-giang/garbage/{digest}", Body=b"")
    again = backup(saltline, "create", "--to", PLACE)
    kept = {it["digest"] for name in store.names() if name.endswith(again["backup"] + ".json")
            for it in json.loads(client.get_object(Bucket="safe", Key=name)["Body"].read())["files"]}
    marked_now = {name.rsplit("/", 1)[1] for name in store.names() if "/garbage/" in name}
    assert kept & needed and not kept & marked_now
    backup(saltline, "verify", PLACE)


def test_what_was_marked_a_day_ago_goes(engine, store, tmp_path):
    saltline = backed(engine, tmp_path, store.port).start()
    for n in range(2):
        send(saltline, 100 * n, 100)
        backup(saltline, "create", "--to", PLACE)
    backup(saltline, "prune", PLACE, "--keep", "1")
    before = store.names()
    marked = {name.rsplit("/", 1)[1] for name in before if "/garbage/" in name}
    # A day passes in the store: a proxy tells of every time as one of two days ago.
    with older(store.port) as port:
        gone = backup(saltline, "prune", PLACE, "--keep", "1", SALTLINE__BACKUP__S3__ENDPOINT=f"http://127.0.0.1:{port}")
    assert gone["objects"] == len(marked) > 0
    after = store.names()
    assert not [name for name in after if name.rsplit("/", 1)[1] in marked]
    backup(saltline, "verify", PLACE)


def test_a_flipped_byte_and_a_missing_content_are_named(engine, store, tmp_path):
    saltline = backed(engine, tmp_path, store.port).start()
    send(saltline, 0, 300)
    backup(saltline, "create", "--to", PLACE)
    saltline.stop()
    client = store.client()
    at = next(name for name in store.names() if "/backups/" in name)
    files = json.loads(client.get_object(Bucket="safe", Key=at)["Body"].read())["files"]
    journal = next(it for it in files if it["path"].startswith("journal/") and it["path"].endswith(".seg"))
    name = next(it for it in store.names() if it.endswith(journal["digest"]))
    whole = client.get_object(Bucket="safe", Key=name)["Body"].read()
    client.put_object(Bucket="safe", Key=name, Body=whole[:-9] + bytes([whole[-9] ^ 4]) + whole[-8:])
    said = backup(saltline, "verify", PLACE, code=1)
    assert journal["path"] in said, said
    client.delete_object(Bucket="safe", Key=name)
    said = backup(saltline, "restore", PLACE, "--to", str(tmp_path / "new"), code=1)
    assert journal["path"] in said and "missing" in said and not (tmp_path / "new").exists()
    # A new backup puts it back.
    backup(saltline, "create", "--to", PLACE)
    backup(saltline, "verify", PLACE)


def test_what_is_no_repository_is_left_alone(engine, store, tmp_path):
    saltline = backed(engine, tmp_path, store.port)
    assert "no such backup" in backup(saltline, "verify", PLACE, code=1)
    store.client().put_object(Bucket="safe", Key="province/tien-giang/holiday.jpg", Body=b"sun")
    assert "not a folder of backups" in backup(saltline, "create", "--to", PLACE, code=1)
    assert list(store.names()) == ["province/tien-giang/holiday.jpg"]
    assert "cannot" in backup(saltline, "create", "--to", "s3://nobody-has-this/x", code=75)


def test_a_wrong_key_is_refused_in_words(engine, tmp_path):
    # Four requests make the bucket and a person who may use it; after them every signature counts.
    store = Store(tmp_path, actions=4).start()
    try:
        iam = store.client("iam")
        store.client().create_bucket(Bucket="safe")
        iam.create_user(UserName="saltline")
        key = iam.create_access_key(UserName="saltline")["AccessKey"]
        rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        iam.put_user_policy(UserName="saltline", PolicyName="all", PolicyDocument=json.dumps(rights))
        saltline = backed(engine, tmp_path, store.port, key["AccessKeyId"], "wrong-secret")
        said = backup(saltline, "create", "--to", PLACE, code=1)
        assert "does not accept the key" in said and "wrong-secret" not in said, said
        (tmp_path / "secret").write_text(key["SecretAccessKey"])
        backup(saltline, "create", "--to", PLACE)
        (tmp_path / "id").write_text("AKIAUNKNOWN000000000")
        assert "does not accept the key" in backup(saltline, "list", PLACE, code=1)
        (tmp_path / "id").write_text("")
        assert "AWS_ACCESS_KEY_ID" in backup(saltline, "list", PLACE, code=78)
    finally:
        store.stop()


@contextlib.contextmanager
def older(port):
    """The same store, which says of everything that it was written two days earlier."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def pass_on(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            one = http.client.HTTPConnection("127.0.0.1", port)
            one.request(self.command, self.path, body, dict(self.headers))
            answer = one.getresponse()
            text = re.sub(rb"(?<=<LastModified>)[0-9-]{10}", lambda day: earlier(day[0]), answer.read())
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "server", "date"):
                    self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on

        def log_message(self, *_):
            pass

    def earlier(day):
        return (datetime.date.fromisoformat(day.decode()) - datetime.timedelta(days=2)).isoformat().encode()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


class Dying:
    """Passes bytes on to a port until so many went, and then nothing."""

    def __init__(self, port, count):
        self.left = count
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, args=(port,), daemon=True).start()

    def serve(self, port):
        while True:
            one, _ = self.listener.accept()
            if self.left <= 0:
                one.close()
                continue
            other = socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=self.pipe, args=(one, other, True), daemon=True).start()
            threading.Thread(target=self.pipe, args=(other, one, False), daemon=True).start()

    def pipe(self, one, other, counts):
        try:
            while data := one.recv(4096):
                if counts:
                    self.left -= len(data)
                    if self.left <= 0:
                        break
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def test_a_store_that_dies_in_the_middle_has_no_backup_and_the_next_one_goes_on(engine, store, tmp_path):
    dying = Dying(store.port, 40_000)
    saltline = backed(engine, tmp_path, dying.port).start()
    # A file that goes in pieces: 20 MB that do not pack.
    os.makedirs(saltline.data / "firmware", exist_ok=True)
    (saltline.data / "firmware" / "large.bin").write_bytes(os.urandom(20 << 20))
    send(saltline, 0, 300)
    backup(saltline, "create", "--to", PLACE, code=75)
    assert not [name for name in store.names() if "/backups/" in name]
    # It dies within the pieces, too.
    dying.left = 12 << 20
    backup(saltline, "create", "--to", PLACE, code=75)
    assert not [name for name in store.names() if "/backups/" in name]
    dying.left = 1 << 40
    backup(saltline, "create", "--to", PLACE)
    backup(saltline, "verify", PLACE)
    assert max(store.names().values()) > 20 << 20
    # And the command itself is killed.
    send(saltline, 300, 300)
    command = subprocess.Popen([SALTLINE, "backup", "create", "--to", PLACE, "--config", saltline.config], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(0.3)
    command.send_signal(signal.SIGKILL)
    command.wait()
    backup(saltline, "create", "--to", PLACE)
    backup(saltline, "verify", PLACE)
