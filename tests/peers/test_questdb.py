"""QuestDB itself, run for real: it follows the journal through falls of both sides, and gives the answers of our own store.

`make peers` fetches it (questdb/pom.xml, Maven Central) and this file starts it on the Java that is installed:

    java -Xmx512m -p tests/peers/questdb/lib/questdb-9.3.1.jar -m io.questdb/io.questdb.ServerMain -d DIR

with DIR/conf/server.conf as below: HTTP on a free port of loopback, no other protocol, no telemetry.
"""

import http.server
import json
import pathlib
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from conftest import free_port, wait_for
from test_clocks import push

JARS = sorted((pathlib.Path(__file__).parent / "questdb" / "lib").glob("questdb-*.jar"))
JAVA = shutil.which("java")

if not JAVA or not JARS:
    pytest.skip("QuestDB cannot be run: no java, or `make peers` has not fetched it", allow_module_level=True)

SERVER = """
http.bind.to=127.0.0.1:%(port)d
http.min.enabled=false
pg.enabled=false
line.tcp.enabled=false
line.udp.enabled=false
telemetry.enabled=false
shared.worker.count=2
dev.mode.enabled=true
%(more)s
"""

# The begin of a quiet day in March; everything is a backlog, so nothing depends on the clock.
DAY = 1_773_273_600


class QuestDb:
    """One server on a folder of its own, which may fall and come back."""

    def __init__(self, folder, **more):
        self.folder, self.port, self.process = folder, free_port(), None
        (folder / "conf").mkdir(parents=True)
        more = "\n".join(f"{key.replace('_', '.')}={value}" for key, value in more.items())
        (folder / "conf" / "server.conf").write_text(SERVER % {"port": self.port, "more": more})
        self.url, self.login = f"http://127.0.0.1:{self.port}", None

    def start(self):
        log = open(self.folder / "questdb.log", "ab")
        self.process = subprocess.Popen(
            [JAVA, "-Xmx512m", "-p", JARS[-1], "-m", "io.questdb/io.questdb.ServerMain", "-d", self.folder],
            stdout=log, stderr=log)
        wait_for("QuestDB", self.answers, seconds=90, pause=0.2)
        return self

    def answers(self):
        assert self.process.poll() is None, (self.folder / "questdb.log").read_text()[-3000:]
        try:
            return self.ask("SELECT 1") == [[1]]
        except OSError:
            return False

    def ask(self, sql):
        request = urllib.request.Request(f"{self.url}/exec?" + urllib.parse.urlencode({"query": sql}))
        if self.login:
            request.add_header("Authorization", self.login)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer).get("dataset")
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def rows(self, table, where="1=1"):
        """Station, parameter, seconds, value and flag of every row, in order."""
        sql = f"SELECT station, parameter, taken_at::long, value, flag FROM {table} WHERE {where} ORDER BY station, parameter, taken_at"
        return [(s, p, t / 1e6, v, f) for s, p, t, v, f in self.ask(sql)]

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One QuestDB for the tests of this file, which use tables of their own."""
    one = QuestDb(tmp_path_factory.mktemp("questdb") / "root").start()
    yield one
    one.kill()


@pytest.fixture
def questdb(server):
    """The same, running, whatever the test before did to it."""
    if server.process.poll() is not None:
        server.start()
    server.go_on()
    return server


def following(engine, url, table, reader="questdb", history=None, **keys):
    at = {"url": url, "table": table, "batch_wait": "100ms", "timeout": "2s", "read_timeout": "2s", "retry_max": "1s", **keys}
    saltline = engine(history={"reader": reader, "tail_readings_max": 300, **(history or {})}, history__questdb=at)
    saltline.key = saltline.station("xuan-hoa")
    saltline.key2 = saltline.station("vam-kenh")
    return saltline


def send(saltline, rows, station="xuan-hoa"):
    """Reports (seconds from the day's begin, values), a hundred a push."""
    rows = [{"time": DAY + at, "replay": True, "values": values} for at, values in rows]
    key = saltline.key if station == "xuan-hoa" else saltline.key2
    for n in range(0, len(rows), 100):
        status, said = push(saltline, station, key, json.dumps(rows[n:n + 100]))
        assert status == 202, said


def failed(saltline, reason):
    found = re.search(rf'^saltline_questdb_failed_total{{reason="{reason}"}} (\S+)$', saltline.text("/metrics")[1], re.M)
    return float(found.group(1)) if found else 0


def reads(saltline, outcome):
    found = re.search(rf'^saltline_history_reader_total{{outcome="{outcome}"}} (\S+)$', saltline.text("/metrics")[1], re.M)
    return float(found.group(1)) if found else 0


def outcomes(saltline):
    found = re.findall(r'^saltline_history_reader_total{outcome="(\w+)"} (\S+)$', saltline.text("/metrics")[1], re.M)
    return {outcome: float(count) for outcome, count in found}


def answered(saltline, path):
    """Asks, and says whether QuestDB was it that answered."""
    before = reads(saltline, "answered")
    saltline.text(path)
    return reads(saltline, "answered") > before


def refills(saltline):
    return dict(re.findall(r'^saltline_questdb_refills_total{why="(\w+)"} (\S+)$', saltline.text("/metrics")[1], re.M))


def kept(saltline, *stations):
    """What our own store has, in the form of `rows`."""
    all_rows = []
    for station in stations or ("vam-kenh", "xuan-hoa"):
        answer = saltline.get(f"/api/v1/stations/{station}/readings?from=2000-01-01T00:00:00Z&to=2100-01-01T00:00:00Z")
        for series in answer["series"]:
            for row in saltline.readings(station, series["parameter"]):
                seconds = time.mktime(time.strptime(row["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
                all_rows.append((station, series["parameter"], seconds, row["value"], row["flag"]))
    return sorted(all_rows)


def same(saltline, questdb, table, count=None, seconds=60):
    """Waits until QuestDB has every reading once, value by value; `count` of them.

    Both followers are through first: where QuestDB answers our readers, half of what was sent would equal itself.
    """
    def look():
        if saltline.behind("history") or saltline.behind("questdb"):
            return False
        ours = kept(saltline)
        if count is not None and len(ours) != count:
            return False
        try:
            return questdb.rows(table) == ours
        except (AssertionError, OSError):
            return False
    wait_for("QuestDB to have it all", look, seconds=seconds, pause=0.2)


def season(seed, count=400):
    """Reports in no order, some said again, some corrected, with sensors missing and in calibration."""
    dice = random.Random(seed)
    rows = []
    for n in range(count):
        salinity = round(dice.uniform(0, 30), dice.randint(0, 6))
        values = {"salinity": dice.choice([salinity, salinity, salinity, None, {"value": salinity, "status": "calibrating"}, dice.uniform(0, 30)]),
                  "ph": dice.uniform(6, 9), "rainfall": dice.choice([0, 0.2, 1.4]), "wind_direction": dice.randint(0, 359)}
        rows.append((900 * n, {key: values[key] for key in dice.sample(sorted(values), dice.randint(1, 4))}))
    rows += dice.sample(rows, count // 10)  # said twice
    rows += [(at, {key: dice.choice([None, 7.25, dice.uniform(0, 9)]) for key in values}) for at, values in dice.sample(rows, count // 10)]
    late = rows[: count // 3]
    dice.shuffle(late)
    return rows[count // 3:] + late


def test_every_reading_comes_once_and_the_table_is_as_it_is_written_down(engine, questdb):
    saltline = following(engine, questdb.url, "t_once").start()
    send(saltline, season(1))
    send(saltline, season(2, 100), "vam-kenh")
    same(saltline, questdb, "t_once")
    shape = questdb.ask("SELECT \"column\", type, designated, upsertKey FROM table_columns('t_once')")
    assert {name: (kind, stamp, key) for name, kind, stamp, key in shape} == {
        "station": ("SYMBOL", False, True), "parameter": ("SYMBOL", False, True), "value": ("DOUBLE", False, False),
        "flag": ("BYTE", False, False), "received_at": ("TIMESTAMP", False, False), "position": ("LONG", False, False),
        "taken_at": ("TIMESTAMP", True, True)}
    assert questdb.ask("SELECT walEnabled, dedup, partitionBy FROM tables() WHERE table_name = 't_once'") == [[True, True, "MONTH"]]
    wait_for("nothing waits", lambda: saltline.behind("questdb") == 0)
    assert refills(saltline) == {"first": "1"}
    # A restart sends nothing that was written down as sent, and fills nothing again.
    assert saltline.stop() == 0
    saltline.start()
    wait_for("it follows again", lambda: saltline.behind("questdb") == 0)
    send(saltline, [(-60, {"salinity": 1.5})])
    same(saltline, questdb, "t_once")
    assert refills(saltline) == {} and saltline.metric("saltline_questdb_sent_total") < 50


WAYS = ["", "&flags=1,2", "&every=1h", "&every=day", "&every=month", "&every=tidal-day", "&points=50", "&points=7&flags=1,2,3", "&every=37m&lang=en"]


def questions():
    span = f"from={time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(DAY))}&to={time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(DAY + 40 * 86400))}"
    part = span.replace("00:00:00Z&", "07:00:00Z&", 1)
    for station in ("xuan-hoa", "vam-kenh"):
        base = f"/api/v1/stations/{station}"
        for when in (span, part):
            for parameter in ("salinity", "ph", "rainfall", "wind_direction"):
                for way in WAYS:
                    yield f"{base}/readings?parameter={parameter}&{when}{way}"
            yield f"{base}/readings?{when}"
            yield f"{base}/readings?{when}&every=day"
            yield f"{base}/readings?{when}&format=csv"
            for every in ("day", "month", "tidal-day", "5h"):
                yield f"{base}/spells?parameter=salinity&above=4&{when}&every={every}"
                yield f"{base}/spells?parameter=ph&below=7.25&{when}&every={every}"


def test_the_answers_are_those_of_our_own_store_byte_for_byte(engine, questdb):
    saltline = following(engine, questdb.url, "t_same").start()
    for n in range(6):
        send(saltline, season(10 + n))
        send(saltline, season(20 + n, 60), "vam-kenh")
    same(saltline, questdb, "t_same")
    wait_for("sealed", lambda: saltline.metric("saltline_history_sealed_files") >= 2)
    wait_for("history is through", lambda: saltline.behind("history") == 0 == saltline.behind("questdb"))
    asked = list(questions())
    wait_for("the reader", lambda: answered(saltline, asked[0]))
    before = outcomes(saltline)
    theirs = [saltline.text(path) for path in asked]
    assert all(status == 200 for status, _ in theirs), next(it for it in theirs if it[0] != 200)
    after = outcomes(saltline)
    assert after.pop("answered") - before.pop("answered") >= len(asked) and after == before, "QuestDB was asked for each"
    assert saltline.stop() == 0
    saltline.sections["history"]["reader"] = "embedded"
    saltline.write_config()
    saltline.start()
    wait_for("history is through", lambda: saltline.behind("history") == 0)
    for path, (_, theirs) in zip(asked, theirs):
        assert saltline.text(path)[1] == theirs, path
    assert reads(saltline, "answered") == 0


def test_what_was_known_then_is_asked_of_our_own_store(engine, questdb):
    saltline = following(engine, questdb.url, "t_then").start()
    send(saltline, [(900 * n, {"salinity": n}) for n in range(400)])
    then = time.time() + 0.5
    time.sleep(1)
    send(saltline, [(900 * n, {"salinity": 50 + n}) for n in range(400)])
    # The corrections come in the order in which they were sent: with the last of them, all are there.
    wait_for("the last correction", lambda: (rows := kept(saltline)) and max(row[3] for row in rows) == 449)
    same(saltline, questdb, "t_then", 400)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(then)) + f".{int(then % 1 * 1000):03}Z"
    path = "/api/v1/stations/xuan-hoa/readings?parameter=salinity&from=2000-01-01T00:00:00Z"
    assert [row["value"] for row in saltline.get(f"{path}&as_of={stamp}")["readings"]] == list(range(400))
    assert [row["value"] for row in saltline.get(path)["readings"]] == [50 + n for n in range(400)]
    assert reads(saltline, "as_of") == 1


def test_away_at_the_start_and_for_a_while_nothing_is_lost_or_doubled_through_kills(engine, questdb):
    questdb.kill()
    saltline = following(engine, questdb.url, "t_away").start()
    send(saltline, season(31))
    wait_for("it is missed", lambda: failed(saltline, "away") >= 2)
    before = kept(saltline)
    assert len(before) > 400 and saltline.metric("saltline_questdb_up") == 0
    assert reads(saltline, "answered") == 0, "our own store answers meanwhile"
    questdb.start()
    same(saltline, questdb, "t_away")
    assert saltline.metric("saltline_questdb_up") == 1
    for n in range(4):
        # Both fall, one while the other is at work.
        send(saltline, season(40 + n, 150), "vam-kenh")
        if n % 2:
            questdb.kill()
            send(saltline, season(50 + n, 150))
            saltline.kill()
            saltline.start()
            wait_for("it is missed", lambda: failed(saltline, "away") >= 1)
            questdb.start()
        else:
            saltline.kill()
            saltline.start()
        wait_for("history is through", lambda: saltline.behind("history") == 0)
    same(saltline, questdb, "t_away")
    assert set(refills(saltline)) <= set(), "the journal had it all"


def test_one_that_takes_connections_and_never_answers_holds_nobody_up(engine, questdb):
    saltline = following(engine, questdb.url, "t_stall").start()
    send(saltline, season(61))
    same(saltline, questdb, "t_stall")
    questdb.pause()
    began = time.monotonic()
    send(saltline, season(62, 100), "vam-kenh")
    assert time.monotonic() - began < 2, "acknowledgements wait for nobody"
    wait_for("the time is over", lambda: failed(saltline, "timeout") >= 1, seconds=20)
    assert len(kept(saltline)) > 400
    # A page waits once for `read_timeout`, and then nobody does for a while.
    began = time.monotonic()
    for _ in range(20):
        saltline.get("/api/v1/stations/xuan-hoa/readings?parameter=salinity&from=2000-01-01T00:00:00Z")
    assert time.monotonic() - began < 6
    began = time.monotonic()
    assert saltline.stop() == 0 and time.monotonic() - began < 10, "a stop waits for one request at most"
    saltline.start()
    questdb.go_on()
    same(saltline, questdb, "t_stall")


class Stub:
    """Answers every request alike."""

    def __init__(self, status, body, kind="application/json"):
        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.mark.parametrize("status, body, reason", [
    (401, b"who are you", "login"), (403, b"", "login"), (500, b'{"error": "out of memory"}', "refused"), (503, b"later", "refused"),
    (400, b'{"query": "x", "error": "unexpected token", "position": 1}', "refused"), (200, b"<html>welcome</html>", "answer"),
    (404, b"no such page", "answer"), (302, b"", "answer")])
def test_every_refusal_has_its_reason_and_the_engine_goes_on(engine, status, body, reason):
    stub = Stub(status, body)
    saltline = following(engine, stub.url, "readings").start()
    send(saltline, [(900 * n, {"salinity": n}) for n in range(5)])
    wait_for("it is told", lambda: failed(saltline, reason) >= 1)
    assert [row["value"] for row in saltline.readings("xuan-hoa", "salinity")] == [0, 1, 2, 3, 4]
    assert f'"reason":"{reason}"' in saltline.log.read_text() or f"reason=\"{reason}\"" in saltline.log.read_text()
    assert saltline.stop() == 0


def test_a_login_by_password_and_a_wrong_one(engine, tmp_path):
    questdb = QuestDb(tmp_path / "root", http_user="saltline", http_password="hunter2")
    questdb.login = "Basic c2FsdGxpbmU6aHVudGVyMg=="
    try:
        questdb.start()
        secret = tmp_path / "secret"
        secret.write_text("wrong\n")
        saltline = following(engine, questdb.url, "readings", user="saltline", password_file=str(secret)).start()
        send(saltline, [(900 * n, {"salinity": n}) for n in range(5)])
        wait_for("it is refused", lambda: failed(saltline, "login") >= 1)
        assert saltline.stop() == 0
        secret.write_text("hunter2\n")
        saltline.start()
        same(saltline, questdb, "readings", 5)
        assert "hunter2" not in saltline.log.read_text()
    finally:
        questdb.kill()


@pytest.mark.parametrize("wrong, what", [
    ("CREATE TABLE t_wrong (station SYMBOL, parameter SYMBOL, value FLOAT, flag BYTE, received_at TIMESTAMP, position LONG, taken_at TIMESTAMP) "
     "TIMESTAMP(taken_at) PARTITION BY MONTH WAL DEDUP UPSERT KEYS(taken_at, station, parameter)", "column `value` is FLOAT, not DOUBLE"),
    ("CREATE TABLE t_wrong (station SYMBOL, parameter SYMBOL, value DOUBLE, flag BYTE, received_at TIMESTAMP, position LONG, taken_at TIMESTAMP) "
     "TIMESTAMP(taken_at) PARTITION BY MONTH WAL", "does not deduplicate"),
    ("CREATE TABLE t_wrong (station SYMBOL, parameter SYMBOL, value DOUBLE, flag BYTE, received_at TIMESTAMP, position LONG, taken_at TIMESTAMP) "
     "TIMESTAMP(taken_at) PARTITION BY MONTH WAL DEDUP UPSERT KEYS(taken_at, station)", "upsert keys"),
    ("CREATE TABLE t_wrong (station SYMBOL, parameter SYMBOL, value DOUBLE, flag BYTE, received_at TIMESTAMP, position LONG, taken_at TIMESTAMP) "
     "TIMESTAMP(taken_at) PARTITION BY MONTH BYPASS WAL", "no WAL"),
    ("CREATE TABLE t_wrong (station SYMBOL, parameter SYMBOL, value DOUBLE, flag BYTE, received_at TIMESTAMP, taken_at TIMESTAMP) "
     "TIMESTAMP(taken_at) PARTITION BY MONTH WAL DEDUP UPSERT KEYS(taken_at, station, parameter)", "column `position` LONG is missing"),
    ("CREATE TABLE t_wrong (station SYMBOL, parameter SYMBOL, value DOUBLE, flag BYTE, received_at TIMESTAMP, position LONG, taken_at TIMESTAMP) "
     "TIMESTAMP(received_at) PARTITION BY MONTH WAL DEDUP UPSERT KEYS(received_at, station, parameter)", "designated timestamp"),
])
def test_a_wrong_table_is_named_and_left_alone_until_somebody_mends_it(engine, questdb, wrong, what):
    questdb.ask("DROP TABLE IF EXISTS t_wrong")
    questdb.ask(wrong)
    saltline = following(engine, questdb.url, "t_wrong").start()
    send(saltline, [(900 * n, {"salinity": n}) for n in range(5)])
    wait_for("it is told", lambda: failed(saltline, "table") >= 1)
    assert what in saltline.log.read_text(), saltline.log.read_text()[-2000:]
    assert questdb.ask("SELECT count() FROM t_wrong") == [[0]]
    questdb.ask("DROP TABLE t_wrong")
    same(saltline, questdb, "t_wrong", 5)


def test_a_table_that_is_lost_or_emptied_gets_everything_again(engine, questdb):
    saltline = following(engine, questdb.url, "t_lost").start()
    send(saltline, season(71))
    send(saltline, season(72, 100), "vam-kenh")
    same(saltline, questdb, "t_lost")
    wait_for("sealed", lambda: saltline.metric("saltline_history_sealed_files") >= 1)
    questdb.ask("DROP TABLE t_lost")
    same(saltline, questdb, "t_lost")
    assert refills(saltline) == {"first": "1", "lost": "1"}
    send(saltline, season(73, 50), "vam-kenh")
    same(saltline, questdb, "t_lost")
    questdb.ask("TRUNCATE TABLE t_lost")
    same(saltline, questdb, "t_lost")
    wait_for("it is told", lambda: refills(saltline).get("emptied") == "1")
    # And while nobody looked.
    saltline.stop()
    questdb.ask("DROP TABLE t_lost")
    saltline.start()
    same(saltline, questdb, "t_lost")
    assert refills(saltline) == {"lost": "1"}


def journal(saltline):
    """Where the readings' journal begins and ends."""
    stats = json.loads(saltline.cli("store", "stats", "-o", "json"))
    return next(row for row in stats["journals"] if row["journal"] == "journal")


def test_one_that_is_added_late_gets_what_the_journal_let_go_of(engine, questdb):
    saltline = engine(history={"tail_readings_max": 200, "tail_age_max": "1s"}, journal={"segment": "64KiB", "retain": "1s"})
    saltline.key, saltline.key2 = saltline.station("xuan-hoa"), saltline.station("vam-kenh")
    saltline.start()
    for n in range(8):
        send(saltline, season(80 + n))
        send(saltline, season(90 + n, 60), "vam-kenh")
    wait_for("the journal let go", lambda: saltline.metric("saltline_journal_pruned_segments_total") >= 1, seconds=40)
    wait_for("history is through", lambda: saltline.behind("history") == 0)
    ours = kept(saltline)
    assert saltline.stop() == 0
    at = {"url": questdb.url, "table": "t_late", "batch_wait": "100ms", "retry_max": "1s", "batch_readings": 100}
    saltline.sections["history.questdb"] = at
    saltline.write_config()
    saltline.start()
    # Killed within the refill, and it still gets to the end.
    for _ in range(3):
        sent = saltline.metric("saltline_questdb_sent_total")
        wait_for("some are there", lambda: saltline.metric("saltline_questdb_sent_total") > sent, pause=0.005)
        saltline.kill()
        saltline.start()
    same(saltline, questdb, "t_late", len(ours))
    # Away for so long that the journal let go of what it lacks: history has it.
    questdb.kill()
    end = journal(saltline)["end"]
    for n in range(16):
        send(saltline, season(100 + n))
    wait_for("the journal let go of what came since", lambda: end < journal(saltline)["oldest"], seconds=40, pause=0.2)
    questdb.start()
    same(saltline, questdb, "t_late")
    assert refills(saltline).get("journal") == "1"


def test_readings_of_another_journal_are_not_mixed_with_ours(engine, questdb, tmp_path):
    saltline = following(engine, questdb.url, "t_other").start()
    send(saltline, season(111))
    same(saltline, questdb, "t_other")
    saltline.stop()
    shutil.rmtree(saltline.data)
    saltline.key, saltline.key2 = saltline.station("xuan-hoa"), saltline.station("vam-kenh")
    saltline.start()
    send(saltline, [(0, {"salinity": 1})])
    wait_for("it is told", lambda: failed(saltline, "table") >= 1)
    assert "drop it, or name another" in saltline.log.read_text()
    questdb.ask("DROP TABLE t_other")
    same(saltline, questdb, "t_other", 1)


def test_check_config_names_what_cannot_be_meant(engine):
    saltline = engine(history={"reader": "questdb"})
    done = subprocess.run([*map(str, (saltline_binary(), "check", "config", "--config", saltline.config))], capture_output=True, text=True)
    assert done.returncode == 78 and "history.questdb.url" in done.stderr, done


def saltline_binary():
    from conftest import SALTLINE
    return SALTLINE


def test_a_table_that_questdb_does_not_go_on_with_is_told_until_it_does(engine, questdb):
    saltline = following(engine, questdb.url, "t_suspended").start()
    send(saltline, season(121, 60))
    same(saltline, questdb, "t_suspended")
    questdb.ask("ALTER TABLE t_suspended SUSPEND WAL")
    wait_for("it is told", lambda: failed(saltline, "suspended") >= 1)
    send(saltline, season(122, 60), "vam-kenh")
    questdb.ask("ALTER TABLE t_suspended RESUME WAL")
    same(saltline, questdb, "t_suspended")
    assert set(refills(saltline)) == {"first"}


def certificate(folder):
    """A certificate for localhost that vouches for itself."""
    key, crt = folder / "tls.key", folder / "tls.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-keyout", key, "-out", crt, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-addext", "basicConstraints=critical,CA:FALSE"],
                   check=True, capture_output=True)
    return key, crt


def tunnel(folder, port):
    """TLS in front of a port, as a proxy in front of QuestDB would be."""
    key, crt = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def pipe(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        finally:
            for end in (one, other):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def serve():
        while True:
            plain, _ = listener.accept()
            try:
                one = context.wrap_socket(plain, server_side=True)
            except OSError:
                continue
            other = socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=pipe, args=(one, other), daemon=True).start()
            threading.Thread(target=pipe, args=(other, one), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return f"https://localhost:{listener.getsockname()[1]}", crt


def test_over_tls_with_an_authority_of_our_own(engine, questdb, tmp_path):
    url, crt = tunnel(tmp_path, questdb.port)
    saltline = following(engine, url, "t_tls", tls_ca_file=str(crt)).start()
    send(saltline, season(131, 60))
    same(saltline, questdb, "t_tls")
    path = "/api/v1/stations/xuan-hoa/readings?parameter=ph&from=2026-03-12T00:00:00Z&to=2026-04-12T00:00:00Z"
    wait_for("the reader", lambda: answered(saltline, path))
    saltline.stop()
    # Whose certificate nobody we trust has signed gets nothing.
    saltline.sections["history.questdb"]["tls_ca_file"] = ""
    saltline.write_config()
    saltline.start()
    wait_for("it is told", lambda: failed(saltline, "away") >= 1)
    assert saltline.metric("saltline_questdb_sent_total") == 0


def test_a_long_series_is_one_answer_and_costs_little(engine, questdb, tmp_path):
    """45,000 readings of a series, asked in three pieces by the reader. Also says what the follower costs."""
    saltline = following(engine, questdb.url, "t_long", history={"tail_readings_max": 100000, "tail_age_max": "1s"})
    saltline.start()
    table = tmp_path / "long.csv"
    rows = [f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(DAY - 60 * n))},xuan-hoa,{p},{n % 77 / 7!r},{u},\n"
            for n in range(45_000) for p, u in (("salinity", "g/L"), ("water_level", "m"), ("ph", ""), ("turbidity", "NTU"))]
    table.write_text("time_utc,station,parameter,value,unit,source_flag\n" + "".join(rows))
    saltline.cli("import", str(table))
    wait_for("it is there", lambda: questdb.ask("SELECT count() FROM t_long") == [[180_000]], seconds=120, pause=0.2)
    seconds = cpu_of(saltline.process.pid, "questdb")
    print(f"\nthe follower's thread: {seconds / 180_000 * 1e6:.2f} µs of CPU a reading")
    wait_for("sealed", lambda: saltline.metric("saltline_history_tail_readings") == 0)
    path = "/api/v1/stations/xuan-hoa/readings?parameter=salinity&from=2026-01-01T00:00:00Z&to=2026-04-12T00:00:00Z&every=10m"
    wait_for("the reader", lambda: answered(saltline, path))
    # Until it had all, each look was one that found it behind.
    before = reads(saltline, "behind")
    theirs = []
    while path:
        with urllib.request.urlopen(saltline.http + path, timeout=60) as answer:
            theirs += json.loads(answer.read())["readings"]
            link = re.search(r'<([^>]*)>', answer.headers.get("Link", ""))
        path = link and link.group(1)
    assert sum(row["count"] for row in theirs) == 45_000
    assert saltline.readings("xuan-hoa", "turbidity") and reads(saltline, "behind") - before < 5


def cpu_of(pid, name):
    """Seconds of CPU that the thread of this name took."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / 100
    raise AssertionError(f"no thread {name}")
