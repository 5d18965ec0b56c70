"""Five thousand clients at once, from a few addresses: as many as may come in are served, the others are refused by
name and counted, a station that was there before does not notice, and when they leave nothing of them stays."""

import errno
import json
import select
import socket
import struct
import subprocess
import threading
import time

from conftest import SALTLINE, wait_for
from test_access import REPORT, Client

# Each half is of one address, or of three. One place of all is the station's.
WAVE, ONE, THREE = 2_500, ["127.0.0.2"], ["127.0.0.3", "127.0.0.4", "127.0.0.5"]
ALL, PER_ADDRESS = 3_001, 1_000


def hello(name, client_id, key):
    """CONNECT of 3.1.1, clean session."""
    field = lambda text: struct.pack(">H", len(text)) + text.encode()
    body = field("MQTT") + b"\x04\xc2\x00\x3c" + field(client_id) + field(name) + field(key)
    assert len(body) < 0x4000
    return b"\x10" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7]) + body


def wave(port, key, addresses):
    """Connects them all at once; those that were welcomed, and how many were not."""
    poll, waiting, welcomed, refused = select.epoll(), {}, [], 0
    for number in range(WAVE):
        one, address = socket.socket(), addresses[number % len(addresses)]
        one.bind((address, 0))
        one.setblocking(False)
        assert one.connect_ex(("127.0.0.1", port)) in (0, errno.EINPROGRESS)
        waiting[one.fileno()] = (one, hello("board", f"{address}-{number}", key))
        poll.register(one.fileno(), select.EPOLLOUT)
    end = time.monotonic() + 120
    while waiting:
        assert time.monotonic() < end, f"{len(waiting)} were never answered"
        for place, what in poll.poll(1):
            one, greeting = waiting[place]
            try:
                if what & select.EPOLLOUT and greeting:
                    one.send(greeting)
                    waiting[place] = (one, b"")
                    poll.modify(place, select.EPOLLIN)
                    continue
                answer = one.recv(4)
            except OSError:
                answer = b""
            poll.unregister(place)
            del waiting[place]
            if answer == b"\x20\x02\x00\x00":
                welcomed.append(one)
            else:
                assert answer == b"", answer
                refused += 1
                one.close()
    return welcomed, refused


def test_a_storm_of_five_thousand_is_served_to_its_bounds_and_leaves_nothing(engine):
    saltline = engine(mqtt__limits={"connections": ALL, "connections_per_address": PER_ADDRESS})
    saltline.start()
    station = Client(saltline.mqtt, "xuan-hoa", saltline.station("xuan-hoa"))
    key = json.loads(subprocess.run(
        [SALTLINE, "token", "add", "board", "--grant", "read:latest/#", "-o", "json", "--config", saltline.config],
        capture_output=True, text=True, check=True, timeout=60).stdout)["token"]
    assert station.publish("stations/xuan-hoa/readings", REPORT) == 0
    found, slowest, acked = [], 0.0, 0
    pouring = threading.Thread(target=lambda: found.extend(wave(saltline.mqtt, key, of) for of in (ONE, THREE)))
    pouring.start()
    while pouring.is_alive():
        asked = time.monotonic()
        assert station.publish("stations/xuan-hoa/readings", REPORT) == 0
        slowest, acked = max(slowest, time.monotonic() - asked), acked + 1
        time.sleep(0.05)
    assert [(len(welcomed), refused) for welcomed, refused in found] == [(1_000, 1_500), (2_000, 500)]
    welcomed = [one for welcomed, _ in found for one in welcomed]
    count = lambda outcome: saltline.metric(f'saltline_mqtt_connects_total{{outcome="{outcome}"}}')
    assert (count("too_many_from_address"), count("too_many")) == (1_500, 500)
    assert saltline.metric("saltline_mqtt_connections") == ALL
    assert slowest < 5.0 and 3 < acked, (slowest, acked)
    for one in welcomed[::100]:
        one.setblocking(True)
        one.settimeout(20)
        one.sendall(b"\xc0\x00")
        assert one.recv(2) == b"\xd0\x00"
    for one in welcomed:
        one.close()
    wait_for("their places", lambda: saltline.metric("saltline_mqtt_connections") == 1)
    wait_for("their sessions", lambda: saltline.metric("saltline_mqtt_sessions") == 1)
    assert station.publish("stations/xuan-hoa/readings", REPORT) == 0
    wait_for("every reading", lambda: len(saltline.readings("xuan-hoa", "ph")) == acked + 2)
    station.close()
    wait_for("the last place", lambda: saltline.metric("saltline_mqtt_connections") == 0)
