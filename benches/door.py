"""The front door in all its shapes, beside Mosquitto in memory and Mosquitto saving each second, and beside NATS and rumqttd
where they are installed, in one run.

For each shape: messages per server-CPU-second, wall rate, PUBACK quantiles, and of ours how many syncs it took and how
many reports shared one. Then the time to PUBACK at half of the greatest rate beside the disk's own fdatasync, the cost
of 10,000 idle connections, of 2,000 TLS handshakes, of 500 half-open handshakes with 500 clients that never read, and
of a thousand boards that hear each reading, and a thousand that never read.

`--shapes 500x20,5000x1` measures these alone, connections and unacknowledged of each, before the rest.
"""

import json
import os
import pathlib
import resource
import selectors
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

from common import QUICK, ROOT, conftest, cpu_seconds, cpu_when_idle, engine_under_load, load, mosquitto, quantile, resident_mib, say, start_load

SHAPES = ((10, 20, 50), (10, 1, 20)) if QUICK else ((50, 20, 4000), (50, 1, 1000), (500, 1, 100), (5000, 1, 10), (500, 20, 400))
if "--shapes" in sys.argv:
    WANTED = {tuple(map(int, shape.split("x"))) for shape in sys.argv[sys.argv.index("--shapes") + 1].split(",")}
    SHAPES = tuple(shape for shape in SHAPES if shape[:2] in WANTED)
STATIONS = max(connections for connections, _, _ in SHAPES)
ROUNDS = 1 if QUICK else 3
IDLE, HANDSHAKES, HOSTILE, BOARDS = (100, 20, 20, 20) if QUICK else (10_000, 2_000, 500, 1_000)


def nats(folder):
    """NATS with MQTT on its JetStream file store, which it syncs every two minutes."""
    folder.mkdir()
    port, config = conftest.free_port(), folder / "nats.conf"
    config.write_text(f'listen: "127.0.0.1:{conftest.free_port()}"\nserver_name: bench\njetstream {{ store_dir: "{folder}" }}\n'
                      f'mqtt {{ listen: "127.0.0.1:{port}" }}\n')
    return started(["nats-server", "-c", config], port)


def rumqttd(folder):
    """rumqttd, which keeps everything in memory."""
    folder.mkdir()
    port, config = conftest.free_port(), folder / "rumqttd.toml"
    config.write_text(f"""id = 0
[router]
id = 0
max_connections = 10010
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v4.1]
name = "v4-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v4.1.connections]
connection_timeout_ms = 60000
max_payload_size = 20480
max_inflight_count = 1000
dynamic_filters = true
""")
    return started(["rumqttd", "-c", config], port)


HIVEMQ = ROOT / "benches/hivemq"


def hivemq(folder):
    """HiveMQ CE on its file store, with the heap that its own start script gives it where there are two processors."""
    for name in ("conf", "data", "extensions"):
        (folder / name).mkdir(parents=True)
    port = conftest.free_port()
    (folder / "conf/config.xml").write_text(
        f'<?xml version="1.0"?><hivemq><listeners><tcp-listener><port>{port}</port><bind-address>127.0.0.1</bind-address></tcp-listener>'
        "</listeners><persistence><mode>file</mode></persistence>"
        "<anonymous-usage-statistics><enabled>false</enabled></anonymous-usage-statistics></hivemq>")
    opens = [word for name in ("java.base/java.lang", "java.base/java.nio", "java.base/sun.nio.ch", "java.base/jdk.internal.misc",
                               "jdk.management/com.sun.management.internal") for word in ("--add-opens", f"{name}=ALL-UNNAMED")]
    return started(["java", "-Xmx2g", *opens, "-cp", f"{HIVEMQ}/lib/*", str(HIVEMQ / "HiveMq.java"), str(folder)], port)


def started(command, port):
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    conftest.wait_for(command[0], lambda: not socket.socket().connect_ex(("127.0.0.1", port)))
    return server.pid, port, server


def all_peers(folder):
    """Mosquitto, and those of the others that are on this machine (`go install github.com/nats-io/nats-server/v2@latest`,
    `cargo install rumqttd`, Maven for HiveMQ as its pom.xml says)."""
    peers = {}
    for name, saving in (("mosquitto in memory", False), ("mosquitto saving each second", True)):
        server, port = mosquitto(folder / name.replace(" ", "-"), saving)
        peers[name] = server.pid, port, server
    for name, program, start in (("NATS file store", "nats-server", nats), ("rumqttd in memory", "rumqttd", rumqttd)):
        if shutil.which(program):
            peers[name] = start(folder / program)
        else:
            say({"bench": "door", "server": name, "skipped": f"no {program} on this machine"})
    if any((HIVEMQ / "lib").glob("hivemq-*.jar")) and shutil.which("javac"):
        peers["HiveMQ CE file store"] = hivemq(folder / "hivemq")
    else:
        say({"bench": "door", "server": "HiveMQ CE file store", "skipped": "not fetched, or no JDK on this machine"})
    return peers


def certificate(folder):
    """A TLS listener with a certificate of its own making (P-256, as a public authority would give)."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return {"tls_listen": "127.0.0.1:0", "tls_cert_file": str(cert), "tls_key_file": str(key)}


def commits(engine):
    """Syncs and records that the readings' journal has made durable so far."""
    return engine.metric("saltline_journal_commit_records_count"), engine.metric("saltline_journal_commit_records_sum")


def measure(pid, port, keys, connections, window, reports):
    before = cpu_when_idle(pid)
    said = load(port, keys, connections, window, reports)
    used = max(cpu_when_idle(pid) - before, 0.01)
    return {"per_cpu_s": round(said["messages"] / used), "per_wall_s": round(said["messages_per_second"]),
            "p50_ms": said["p50_us"] / 1000, "p99_ms": said["p99_us"] / 1000, "refused": said["refused"]}


def best(rows):
    """The round with the least disturbance; every round is printed too."""
    return max(rows, key=lambda row: row["per_cpu_s"])


def shapes(engine, keys, peers):
    rates = {}
    for connections, window, reports in SHAPES:
        rows = {name: [] for name in ("saltline", *peers)}
        for _ in range(ROUNDS):
            syncs, records = commits(engine)
            # Of ours all are let in, or it is no measurement.
            row = measure(engine.process.pid, engine.mqtt, keys, connections, window, reports)
            assert row["refused"] == 0, row
            syncs, records = (now - then for now, then in zip(commits(engine), (syncs, records)))
            rows["saltline"].append(row | {"syncs": round(syncs), "reports_per_sync": round(records / max(syncs, 1), 1)})
            for name, (pid, port, _) in peers.items():
                rows[name].append(measure(pid, port, keys, connections, window, reports))
        for name, all_rounds in rows.items():
            say({"bench": "door", "server": name, "connections": connections, "in_flight": window, **best(all_rounds),
                 "rounds_per_cpu_s": [row["per_cpu_s"] for row in all_rounds]})
        rates[connections, window] = best(rows["saltline"])["per_wall_s"]
    return rates


def probes(folder, stop, out):
    """This disk's own fdatasync of 512 bytes, again and again while the load runs."""
    with open(folder / "probe", "ab", buffering=0) as file:
        while not stop.wait(0.01):
            file.write(b"x" * 512)
            at = time.perf_counter()
            os.fdatasync(file.fileno())
            out.append((time.perf_counter() - at) * 1000)


def half_rate(engine, keys, folder, rate):
    stop, disk = threading.Event(), []
    probing = threading.Thread(target=probes, args=(folder, stop, disk))
    probing.start()
    seconds = 2 if QUICK else 20
    connections = min(50, STATIONS)
    reports = max(int(rate / 2 * seconds / connections), 10)
    said = json.loads(start_load(engine.mqtt, keys, connections, 20, reports, rate=rate / 2).communicate(timeout=600)[0].splitlines()[-1])
    stop.set()
    probing.join()
    p50, p99 = quantile(disk, 0.5), quantile(disk, 0.99)
    say({"bench": "puback at half rate", "per_wall_s": round(said["messages_per_second"]), "p50_ms": said["p50_us"] / 1000,
         "p99_ms": said["p99_us"] / 1000, "fdatasync_p50_ms": round(p50, 3), "fdatasync_p99_ms": round(p99, 3),
         "allowed_p50_ms": round(p50 + 1, 2), "allowed_p99_ms": round(p99 + 5, 2)})


def connect_packet(client_id, key=None):
    """CONNECT of MQTT 3.1.1, as anybody or as the station of this code."""
    text = lambda value: len(value).to_bytes(2, "big") + value
    login = text(client_id) + text(key) if key else b""
    body = text(b"MQTT") + (b"\x04\xc2" if key else b"\x04\x02") + b"\x00\x00" + text(client_id) + login
    return bytes([0x10, len(body)]) + body


def idle(engine):
    """Memory of connections that are logged in and silent."""
    before, open_ones = resident_mib(engine.process.pid), []
    for n in range(IDLE):
        one = socket.create_connection(("127.0.0.1", engine.mqtt))
        one.sendall(connect_packet(b"idle-%d" % n))
        assert one.recv(4) == b"\x20\x02\x00\x00"
        open_ones.append(one)
    time.sleep(1)
    grown = resident_mib(engine.process.pid) - before
    say({"bench": "idle connections", "connections": IDLE, "kib_each": round(grown * 1024 / IDLE, 2), "at_most_kib": 8})
    for one in open_ones:
        one.close()


def handshakes(engine, keys):
    """CPU of a full TLS 1.3 handshake, login and goodbye."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    logins = [(login["code"].encode(), login["key"].encode()) for login in json.loads(keys.read_text())]
    before = cpu_seconds(engine.process.pid)
    for n in range(HANDSHAKES):
        with socket.create_connection(("127.0.0.1", engine.mqtts)) as raw, context.wrap_socket(raw) as one:
            one.sendall(connect_packet(*logins[n % len(logins)]))
            assert one.recv(4) == b"\x20\x02\x00\x00"
    used = cpu_seconds(engine.process.pid) - before
    say({"bench": "TLS handshakes", "connections": HANDSHAKES, "cpu_ms_each": round(used * 1000 / HANDSHAKES, 3)})


def hostile(engine, keys):
    """A good station's time to PUBACK, alone and beside those who hold the door open or never read."""
    def good():
        return load(engine.mqtt, keys, 1, 1, 100 if QUICK else 3000)
    alone = good()
    half_open = [socket.create_connection(("127.0.0.1", engine.mqtts)) for _ in range(HOSTILE)]
    deaf = []
    for n in range(HOSTILE):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", engine.mqtt))
        one.sendall(connect_packet(b"deaf-%d" % n) + b"\x82\x06\x00\x01\x00\x01#\x01")
        deaf.append(one)
    time.sleep(0.5)
    beside = good()
    say({"bench": "hostile neighbours", "half_open": HOSTILE, "never_reading": HOSTILE, "alone_p99_ms": alone["p99_us"] / 1000,
         "beside_p99_ms": beside["p99_us"] / 1000, "ratio": round(beside["p99_us"] / alone["p99_us"], 2), "below": 2})
    for one in half_open + deaf:
        one.close()


class Boards:
    """Listeners of one station's `latest/…` that read all they get; counts messages by the word that each of their topics has once."""

    def __init__(self, port, count):
        self.heard, self.selector, self.stop = 0, selectors.DefaultSelector(), threading.Event()
        self.all = [listener(port, b"board-%d" % n, b"latest/load-0/#") for n in range(count)]
        for one in self.all:
            one.setblocking(False)
            self.selector.register(one, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        while not self.stop.is_set():
            for key, _ in self.selector.select(0.1):
                self.heard += key.fileobj.recv(1 << 16).count(b"latest/")

    def close(self):
        self.stop.set()
        self.thread.join()
        for one in self.all:
            one.close()


def listener(port, client_id, topic):
    """A client that has subscribed with QoS 0 and read nothing since but SUBACK."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
    one.connect(("127.0.0.1", port))
    one.sendall(connect_packet(client_id))
    assert one.recv(4) == b"\x20\x02\x00\x00"
    one.sendall(bytes([0x82, 5 + len(topic), 0, 1, 0, len(topic)]) + topic + b"\x00")
    assert one.recv(1)  # The rest of SUBACK, and what is retained, is for who reads.
    return one


def fan_out(engine, keys):
    """What thousands of listeners cost, and what they do to a station's time to PUBACK: alone, with those who read, and
    with as many who never do."""
    rate, reports = (20, 20) if QUICK else (20, 600)
    pid, port = engine.process.pid, engine.mqtt
    speak = lambda: json.loads(start_load(port, keys, 1, 1, reports, rate=rate).communicate(timeout=600)[0].splitlines()[-1])
    alone = speak()
    boards = Boards(port, BOARDS)
    time.sleep(2)
    before, heard = cpu_when_idle(pid), boards.heard
    read = speak()
    used, heard = max(cpu_when_idle(pid) - before, 0.01), boards.heard - heard
    deaf = [listener(port, b"deaf-board-%d" % n, b"latest/load-0/#") for n in range(BOARDS)]
    beside, heard_then = speak(), boards.heard
    say({"bench": "fan-out", "boards": BOARDS, "handed_out": heard, "per_cpu_s": round(heard / used),
         **{f"{who}_p{q}_ms": said[f"p{q}_us"] / 1000 for who, said in (("alone", alone), ("reading", read), ("as_many_deaf", beside)) for q in (50, 99)}})
    assert heard >= BOARDS * reports, "the boards hear each report"
    assert heard_then > heard, "and go on hearing beside those who never read"
    boards.close()
    for one in deaf:
        one.close()


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # For us and for the servers that we start.
    with tempfile.TemporaryDirectory(dir=ROOT / "artefacts") as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        engine, keys = engine_under_load(folder, STATIONS, mqtt={
            **certificate(folder), "anonymous": [{"grants": ["read:#"]}], "limits": {
                "connections": 20_000, "connections_per_address": 12_000, "handshakes": 6_000, "handshakes_per_address": 6_000, "login_within": "1m", "publishes_per_s": 1_000_000,
                "bytes_per_s": "1GiB"}})
        engine.start()
        peers = all_peers(folder)
        try:
            rates = shapes(engine, keys, peers)
            half_rate(engine, keys, folder, max(rates.values()))
            handshakes(engine, keys)
            hostile(engine, keys)
            fan_out(engine, keys)
            idle(engine)
        finally:
            engine.kill()
            for _, _, peer in peers.values():
                peer.kill()
                peer.wait()


if __name__ == "__main__":
    main()
