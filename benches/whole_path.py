"""Whole path: PUBLISH on the socket to submit_sm at the SMSC, two fsyncs included, at 1,000 reports/s with rules on.

The disk's own fdatasync is probed in the same run, once after each message. Target: p50 at most twice the disk's p50
plus 2 ms, p99 at most twice its p99 plus 10 ms.
"""

import json
import os
import pathlib
import socket
import statistics
import struct
import tempfile
import time

from common import QUICK, ROOT, conftest, quantile, say, start_load

MESSAGES, RATE, CONNECTIONS, SECONDS = (10, 100, 5, 8) if QUICK else (600, 1000, 50, 90)


def text(value):
    raw = value.encode()
    return struct.pack(">H", len(raw)) + raw


def packet(kind, body):
    length, head = len(body), bytearray([kind])
    while True:
        length, digit = length >> 7, length & 127
        head.append(digit | (128 if length else 0))
        if not length:
            return bytes(head) + body


class Station:
    """A socket that speaks just enough MQTT 3.1.1 to publish at a known moment."""

    def __init__(self, port, code, key):
        self.code, self.mid = code, 0
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(packet(0x10, text("MQTT") + b"\x04\xc2\x00\x00" + text(code) + text(code) + text(key)))
        assert self.socket.recv(4)[3] == 0

    def publish(self, salinity):
        self.mid = self.mid % 65_000 + 1
        body = json.dumps({"values": {"salinity": salinity, "ph": 7}}).encode()
        raw = packet(0x32, text(f"stations/{self.code}/readings") + struct.pack(">H", self.mid) + body)
        at = time.time()
        self.socket.sendall(raw)
        return at


def probe(path):
    with open(path, "ab", buffering=0) as file:
        file.write(b"x" * 512)
        at = time.perf_counter()
        os.fdatasync(file.fileno())
        return (time.perf_counter() - at) * 1000


def next_sms(smsc):
    while True:
        row = smsc.lines.next(20)
        if row["kind"] == "sms":
            return row


def main():
    with tempfile.TemporaryDirectory(dir=ROOT / "artefacts") as folder:
        folder = pathlib.Path(folder)
        smsc = conftest.Smsc().start()
        engine = conftest.Engine(folder, channels__sms={"url": f"smpp://saltline:secret@127.0.0.1:{smsc.port}"})
        key = engine.station("xuan-hoa", "--interval", "1h")
        keys = folder / "keys.json"
        keys.write_text(json.dumps([{"code": f"load-{n}", "key": engine.station(f"load-{n}")} for n in range(CONNECTIONS)]))
        everywhere = conftest.RULES.replace('stations = ["xuan-hoa"]\n', "")
        keeper = conftest.ROSTER.split('[[duty]]\nperson = "duty"')[0].replace(
            'channel = "sms"', 'channel = "sms"\nstation = "xuan-hoa"')
        engine.pack(rules__toml=everywhere, roster__toml=keeper)
        engine.start()
        background = start_load(engine.mqtt, keys, CONNECTIONS, 20, RATE * SECONDS // CONNECTIONS, rate=RATE)
        try:
            station = Station(engine.mqtt, "xuan-hoa", key)
            station.publish(0.5)
            time.sleep(1.0)
            took, disk, began = [], [], time.monotonic()
            for n in range(MESSAGES):
                assert background.poll() is None, "the background load ended early"
                sent = station.publish(2.0 if n % 2 == 0 else 0.5)
                took.append(next_sms(smsc)["at"] - sent * 1000)
                disk.append(probe(folder / "probe"))
                time.sleep(0.02)
            path = {"p50": statistics.median(took), "p99": quantile(took, 0.99)}
            sync = {"p50": statistics.median(disk), "p99": quantile(disk, 0.99)}
            allowed = {"p50": 2 * sync["p50"] + 2, "p99": 2 * sync["p99"] + 10}
            show = lambda row: {q: round(ms, 2) for q, ms in row.items()}
            say({
                "bench": "whole path", "messages": len(took), "background_per_s": RATE,
                "seconds": round(time.monotonic() - began, 1), "publish_to_smsc_ms": show(path),
                "fdatasync_ms": show(sync), "allowed_ms": show(allowed),
                "met": all(path[q] <= allowed[q] for q in path),
            })
        finally:
            background.kill()
            background.wait()
            engine.kill()
            smsc.stop()


if __name__ == "__main__":
    main()
