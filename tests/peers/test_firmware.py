"""Firmware updates, with a station that is none of ours: paho speaks, `cryptography` proves. What it does stands in
docs/wire.md and nowhere else."""

import hashlib
import json
import os
import pathlib
import re
import stat
import struct
import subprocess
import time
import zlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import test_contract
from conftest import SALTLINE, SIM, wait_for
from test_mqtt import Client

MODEL = "sl-200"
FAST = {"station_bytes_per_s": "1MiB", "bytes_per_s": "8MiB", "soak": "1s", "silent_after": "5s", "silent_intervals": 1}


class Maker:
    """Somebody who signs images with our command line, on a machine of their own."""

    def __init__(self, saltline, folder):
        self.saltline, self.folder = saltline, pathlib.Path(folder)
        self.file = self.folder / "maker.pem"
        made = json.loads(saltline.cli("firmware", "keygen", str(self.file), "-o", "json"))
        self.public, self.id = made["public"], made["key"]

    def image(self, version, size=20_000, model=MODEL):
        path = self.folder / f"{model}-{version}.bin"
        path.write_bytes(os.urandom(size))
        self.saltline.cli("firmware", "sign", str(path), "--key", str(self.file), "--model", model,
                          "--version", version)
        return path


def with_maker(engine, tmp_path, **firmware):
    saltline = engine(firmware={**FAST, **firmware})
    maker = Maker(saltline, tmp_path)
    saltline.sections["firmware"]["keys"] = [maker.public]
    saltline.write_config()
    return saltline, maker


def signed(offer):
    return (f"saltline-firmware-1\nmodel: {offer['model']}\nversion: {offer['version']}\n"
            f"size: {offer['size']}\nsha256: {offer['sha256']}\n").encode()


class Station(Client):
    """A station that takes firmware."""

    def __init__(self, engine, code, key, public, version="1.0.0", **more):
        super().__init__(engine, code, key, **more)
        self.code, self.public, self.version = code, public, version
        done = []
        self.paho.on_subscribe = lambda c, u, mid, reasons, p: done.append(mid)
        self.paho.subscribe([(f"stations/{code}/firmware/{below}", 1) for below in ("offer", "chunk", "refused")])
        wait_for("SUBACK", lambda: done)
        self.report("running", model=MODEL, version=version)
        self.reading()

    def below(self, name):
        return [m for topic, m, _ in list(self.messages) if topic == f"stations/{self.code}/firmware/{name}"]

    def report(self, state, **more):
        self.publish(f"stations/{self.code}/firmware/report", {"state": state, **more})

    def reading(self):
        self.publish(f"stations/{self.code}/readings", {"values": {"salinity": 0.5}})

    def ask(self, sha256, start, count):
        self.publish(f"stations/{self.code}/firmware/ask", {"sha256": sha256, "from": start, "count": count})

    def offer(self, seconds=20):
        last = wait_for("an offer", lambda: (o := self.below("offer")) and o[-1], seconds)
        return json.loads(last)

    def chunks(self, sha256, start, count):
        """Asks once and gives back the chunks by number."""
        seen = len(self.below("chunk"))
        self.ask(sha256, start, count)
        wait_for(f"chunks {start}+{count}", lambda: seen + count <= len(self.below("chunk")))
        found = {}
        for frame in self.below("chunk")[seen:]:
            digest, number, crc = frame[:8], *struct.unpack(">II", frame[8:16])
            assert digest.hex() == sha256[:16] and crc == zlib.crc32(frame[16:])
            found[number] = frame[16:]
        assert sorted(found) == list(range(start, start + count))
        return found

    def fetch(self, offer, window=8):
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public)).verify(
            bytes.fromhex(offer["signature"]), signed(offer))
        image = b""
        for start in range(0, offer["chunks"], window):
            part = self.chunks(offer["sha256"], start, min(window, offer["chunks"] - start))
            image += b"".join(part[n] for n in sorted(part))
        assert len(image) == offer["size"] and hashlib.sha256(image).hexdigest() == offer["sha256"]
        return image

    def take(self, offer):
        image = self.fetch(offer)
        for state in ("verified", "installed"):
            self.report(state, sha256=offer["sha256"], model=MODEL)
        self.version = offer["version"]
        self.report("running", model=MODEL, version=self.version)
        return image


def rollouts(saltline, *words):
    return json.loads(saltline.cli("firmware", "roll-out", "status", *words, "-o", "json"))


def state(saltline):
    return rollouts(saltline)[0]["state"]


def test_a_station_that_nobody_here_wrote_takes_a_firmware(engine, tmp_path):
    saltline, maker = with_maker(engine, tmp_path)
    path = maker.image("1.1.0", 150_001)
    saltline.cli("firmware", "add", str(path))
    saltline.start()
    stations = [Station(saltline, code, saltline.station(code), maker.public) for code in ("a", "b")]
    wait_for("both", lambda: len(json.loads(saltline.cli("firmware", "stations", "-o", "json"))) == 2)
    started = json.loads(saltline.cli("firmware", "roll-out", "start", f"{MODEL}@1.1.0", "--first", "b", "-o", "json"))
    assert started["state"] == "made"
    a, b = stations
    offer = b.offer()
    assert {name: offer[name] for name in ("model", "version", "size", "chunk", "chunks", "key", "rollout")} == {
        "model": MODEL, "version": "1.1.0", "size": 150_001, "chunk": 4096, "chunks": 37, "key": maker.id,
        "rollout": started["id"]}
    assert a.below("offer") == [], "only the first ring"
    assert b.take(offer) == path.read_bytes()
    # It reports on, and when the soak is over the next ring begins.
    wait_for("the second ring", lambda: b.reading() or a.below("offer"), pause=0.3)
    assert b.below("offer")[-1] == b"", "it has it, so it is no longer offered it"
    assert a.take(a.offer()) == path.read_bytes()
    wait_for("the end", lambda: a.reading() or b.reading() or state(saltline) == "done", pause=0.3)
    rows = rollouts(saltline, started["id"])
    assert {row["station"]: (row["ring"], row["state"]) for row in rows} == {"a": (2, "running"), "b": (1, "running")}
    assert saltline.metric("saltline_firmware_chunks_total") >= 74
    assert saltline.metric("saltline_readings_unaccounted") == 0
    for one in stations:
        one.close()
    assert saltline.stop() == 0


def test_who_was_not_offered_an_image_gets_no_byte_of_it(engine, tmp_path):
    saltline, maker = with_maker(engine, tmp_path)
    saltline.cli("firmware", "add", str(maker.image("1.1.0")))
    saltline.start()
    key = saltline.station("a")
    a, b = (Station(saltline, "a", key, maker.public), Station(saltline, "b", saltline.station("b"), maker.public))
    other = Station(saltline, "other", saltline.station("other"), maker.public)
    other.report("running", model="sl-900", version="0.1.0")
    wait_for("all", lambda: len(json.loads(saltline.cli("firmware", "stations", "-o", "json"))) == 3)
    time.sleep(0.3)
    rollout = json.loads(saltline.cli("firmware", "roll-out", "start", f"{MODEL}@1.1.0", "--first", "a", "-o", "json"))
    offer = a.offer()
    # Another station asks for it; another asks on the first one's topic; the first one asks beyond its end.
    for one in (b, other):
        one.ask(offer["sha256"], 0, 1)
        assert json.loads(wait_for("no", lambda: one.below("refused"))[-1]) == {"reason": "not_offered"}
    b.publish("stations/a/firmware/ask", {"sha256": offer["sha256"], "from": 0, "count": 1})
    for nonsense, reason in [((offer["sha256"], 4, 2), "out_of_range"), ((offer["sha256"], 0, 9), "out_of_range"),
                             ((offer["sha256"], 0, 0), "out_of_range"), (("00" * 32, 0, 1), "not_offered")]:
        time.sleep(1.1)
        before = len(a.below("refused"))
        a.ask(*nonsense)
        wait_for(reason, lambda: before < len(a.below("refused")))
        assert json.loads(a.below("refused")[-1]) == {"reason": reason}, nonsense
    time.sleep(1.1)
    a.publish("stations/a/firmware/ask", b"{\"sha256\": 5}")
    wait_for("malformed", lambda: b"malformed" in a.below("refused")[-1])
    assert a.below("chunk") == b.below("chunk") == other.below("chunk") == []
    rows = rollouts(saltline, rollout["id"])
    assert {row["station"] for row in rows} == {"a", "b"}, "the third is of another model"
    # A guest without a right, and a station on another's topics, hear nothing and say nothing.
    token = json.loads(saltline.cli("token", "add", "dash", "--grant", "read:latest/#", "-o", "json"))["token"]
    guest = Client(saltline, "dash", token)
    refused = []
    guest.paho.on_subscribe = lambda c, u, mid, reasons, p: refused.append(reasons[0].is_failure)
    guest.paho.subscribe("stations/+/firmware/#", 1)
    wait_for("SUBACK", lambda: refused)
    assert refused == [True]
    a.chunks(offer["sha256"], 0, 5)
    assert b.below("chunk") == guest.messages == []
    for one in (a, b, other, guest):
        one.close()


def test_a_signature_that_is_not_right_adds_nothing(engine, tmp_path):
    saltline, maker = with_maker(engine, tmp_path, image_max="64KiB")
    path = maker.image("1.1.0")
    good = json.loads(pathlib.Path(f"{path}.sig").read_text())
    assert stat.S_IMODE(maker.file.stat().st_mode) == 0o600
    # The file is one that others read, and the signature one that others make and prove.
    private = load_pem_private_key(maker.file.read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    assert private.sign(signed(good)).hex() == good["signature"]
    stranger = Ed25519PrivateKey.generate()
    with pytest.raises(InvalidSignature):
        stranger.public_key().verify(bytes.fromhex(good["signature"]), signed(good))

    def refused(why, code=1, image=path, **changed):
        bad = tmp_path / "bad.sig"
        bad.write_text(json.dumps({**good, **changed}))
        for act in ("verify", "add"):
            done = subprocess.run(
                [SALTLINE, "firmware", act, str(image), "--signature", str(bad), "--config", saltline.config],
                capture_output=True, text=True, timeout=30)
            assert done.returncode == code and re.search(why, done.stderr), (done.returncode, done.stderr)

    refused("signature is not right", version="9.0.0")
    refused("signature is not right", model="sl-100")
    refused("signature is not right", size=5)
    refused("signature is not right", signature="00" * 64)
    refused("signature is not right", signature=stranger.sign(signed(good)).hex())
    refused("none of ours", key="0123456789abcdef")
    refused("64 bytes in hex", code=2, signature="00")
    refused("unknown field", code=2, extra=1)
    changed = tmp_path / "changed.bin"
    changed.write_bytes(path.read_bytes()[:-1] + b"x")
    refused("not the one that was signed|bytes", image=changed)
    large = maker.image("1.2.0", 64 * 1024 + 1)
    saltline.cli("firmware", "add", str(large), code=1)
    assert json.loads(saltline.cli("firmware", "list", "-o", "json")) == []
    assert not (saltline.data / "firmware").exists()
    # A key file that others may read is not signed with, and is never written over.
    saltline.cli("firmware", "keygen", str(maker.file), code=2)
    maker.file.chmod(0o644)
    saltline.cli("firmware", "sign", str(path), "--key", str(maker.file), "--model", MODEL, "--version", "2.0.0", code=2)
    maker.file.chmod(0o600)
    for bad in ("1.2", "01.2.3", "v1.2.3"):
        saltline.cli("firmware", "sign", str(path), "--key", str(maker.file), "--model", MODEL, "--version", bad, code=2)
    saltline.cli("firmware", "verify", str(path))
    saltline.cli("firmware", "verify", str(path), "--key", "00" * 32, code=1)
    saltline.cli("firmware", "add", str(path))
    saltline.cli("firmware", "add", str(path))
    assert [row["version"] for row in json.loads(saltline.cli("firmware", "list", "-o", "json"))] == ["1.1.0"]
    # The same version with other bytes is not another image.
    again = maker.image("1.1.0", 30_000)
    saltline.cli("firmware", "add", str(again), code=1)
    saltline.cli("firmware", "roll-out", "start", f"{MODEL}@3.0.0", code=1)
    saltline.cli("firmware", "remove", f"{MODEL}@1.1.0")
    assert list((saltline.data / "firmware").iterdir()) == []


def test_without_a_configured_key_nobody_may_vouch(engine, tmp_path):
    saltline = engine()
    maker = Maker(saltline, tmp_path)
    saltline.cli("firmware", "add", str(maker.image("1.1.0")), code=1)


def test_chunks_leave_half_of_a_slow_line_to_the_readings(engine, tmp_path):
    saltline, maker = with_maker(engine, tmp_path, station_bytes_per_s="16KiB")
    saltline.cli("firmware", "add", str(maker.image("1.1.0", 100_000)))
    saltline.start()
    station = Station(saltline, "a", saltline.station("a"), maker.public)
    wait_for("it", lambda: json.loads(saltline.cli("firmware", "stations", "-o", "json")))
    saltline.cli("firmware", "roll-out", "start", f"{MODEL}@1.1.0")
    offer = station.offer()
    begun = time.monotonic()
    # A mad station that asks for the same window again and again is not served any faster.
    for _ in range(50):
        station.ask(offer["sha256"], 0, 8)
    station.fetch(offer)
    took = time.monotonic() - begun
    received = sum(len(frame) for frame in station.below("chunk"))
    assert received <= 16 * 1024 * took + 4096 + 16, (received, took)
    station.close()


def test_a_download_goes_on_after_a_kill_of_either_side(engine, tmp_path):
    saltline, maker = with_maker(engine, tmp_path, station_bytes_per_s="32KiB")
    path = maker.image("1.1.0", 300_000)
    saltline.cli("firmware", "add", str(path))
    saltline.start()
    key = saltline.station("xuan-hoa", "--interval", "5s")
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps([{"code": "xuan-hoa", "key": key}]))
    sim_dir = tmp_path / "sim"

    def simulate():
        return subprocess.Popen(
            [SIM, "estuary", "--mqtt", f"127.0.0.1:{saltline.mqtt}", "--keys", keys, "--interval", "1s",
             "--firmware-key", maker.public, "--firmware-dir", sim_dir],
            stdout=subprocess.DEVNULL, stderr=open(tmp_path / "sim.log", "ab"))

    sim = simulate()
    try:
        def stations():
            return json.loads(saltline.cli("firmware", "stations", "-o", "json"))

        wait_for("it", stations)
        saltline.cli("firmware", "roll-out", "start", f"{MODEL}@1.1.0")
        part = sim_dir / "xuan-hoa.part"
        have = lambda: part.stat().st_size if part.exists() else 0
        wait_for("the first chunks", lambda: 40_000 < have())
        sim.kill()
        sim.wait()
        kept = have()
        time.sleep(1)
        sim = simulate()
        wait_for("more chunks", lambda: kept + 20_000 < have())
        # The engine's roll-out, offer and image are on disk; its port is the same, so the station finds it again.
        saltline.sections["mqtt"]["listen"] = f"127.0.0.1:{saltline.mqtt}"
        saltline.write_config()
        kept = have()
        saltline.kill()
        assert have() >= kept - 4096
        saltline.start()
        assert state(saltline) == "going"
        wait_for("the new version", lambda: stations()[0]["version"] == "1.1.0", 60)
        wait_for("the end", lambda: state(saltline) == "done", 60)
        served = saltline.metric("saltline_firmware_bytes_total")
        assert served < 300_000 - kept + 64 * 1024, "what it had was not fetched again"
    finally:
        sim.kill()
        sim.wait()
    assert saltline.stop() == 0


def test_a_bricked_first_station_halts_it_over_a_kill_of_the_engine(engine, tmp_path):
    saltline, maker = with_maker(engine, tmp_path)
    saltline.sections["engine"]["start_grace"] = "1s"
    saltline.write_config()
    saltline.cli("firmware", "add", str(maker.image("1.1.0")))
    saltline.start()
    a, b = (Station(saltline, code, saltline.station(code, "--interval", "5s"), maker.public) for code in ("a", "b"))
    wait_for("both", lambda: len(json.loads(saltline.cli("firmware", "stations", "-o", "json"))) == 2)
    saltline.cli("firmware", "roll-out", "start", f"{MODEL}@1.1.0", "--first", "a")
    offer = a.offer()
    a.fetch(offer)
    a.report("verified", sha256=offer["sha256"], model=MODEL)
    a.close()
    b.close()
    saltline.kill()
    saltline.start()
    wait_for("the halt", lambda: state(saltline) == "halted", 30)
    row = rollouts(saltline)[0]
    assert row["why"] == "ring 1: a silent"
    assert saltline.metric("saltline_firmware_halts_total") == 1
    wait_for("the gauge", lambda: saltline.metric("saltline_firmware_rollouts_halted") == 1)
    assert "roll-out halted" in saltline.log.read_text()
    rows = {one["station"]: one for one in rollouts(saltline, row["id"])}
    assert (rows["a"]["state"], rows["b"]["state"], rows["b"]["offered_at"]) == ("silent", "waiting", None)


def test_people_steer_it_over_http_as_far_as_their_role_goes(engine, tmp_path):
    saltline, maker = with_maker(engine, tmp_path)
    saltline.cli("firmware", "add", str(maker.image("1.1.0")))
    saltline.start()
    station = Station(saltline, "a", saltline.station("a"), maker.public)
    wait_for("it", lambda: json.loads(saltline.cli("firmware", "stations", "-o", "json")))
    test_contract.ROLES["sep"] = "admin"
    viewer, operator, admin = (test_contract.Person(saltline, name) for name in ("xem", "truc", "sep"))
    at = "/api/v1/firmware"
    assert saltline.text(f"{at}/images")[0] == 401
    assert viewer.ask("GET", f"{at}/images")[0] == 403
    status, images = operator.ask("GET", f"{at}/images")
    assert status == 200 and images[0]["version"] == "1.1.0"
    assert operator.ask("GET", f"{at}/stations")[1][0]["version"] == "1.0.0"
    wanted = {"image": images[0]["sha256"], "first": ["a"], "soak_s": 60}
    assert operator.ask("POST", f"{at}/rollouts", wanted)[0] == 403
    assert admin.ask("POST", f"{at}/rollouts", wanted, csrf=False)[0] == 403
    assert admin.ask("POST", f"{at}/rollouts", {**wanted, "image": "x"})[0] == 422
    assert admin.ask("POST", f"{at}/rollouts", {**wanted, "image": "00" * 32})[0] == 404
    assert admin.ask("POST", f"{at}/rollouts", {**wanted, "first": ["hue"]})[0] == 404
    assert admin.ask("POST", f"{at}/rollouts", {**wanted, "healthy_percent": 0})[0] == 422
    status, made = admin.ask("POST", f"{at}/rollouts", wanted)
    assert status == 201 and made["soak_s"] == 60 and made["made_by"] == "sep"
    assert admin.ask("POST", f"{at}/rollouts", wanted)[0] == 422, "the model has one already"
    one = f"{at}/rollouts/{made['id']}"
    offer = station.offer()
    assert viewer.ask("POST", f"{one}/halt")[0] == 403
    assert operator.ask("POST", f"{one}/dance")[0] == 404
    assert operator.ask("POST", f"{one}/pause")[1]["state"] == "paused"
    assert station.fetch(offer), "who was offered it goes on"
    status, halted = operator.ask("POST", f"{one}/halt", {"why": "wrong image"})
    assert (status, halted["state"], halted["why"]) == (200, "halted", "wrong image")
    wait_for("it is taken back", lambda: station.below("offer")[-1] == b"")
    station.ask(offer["sha256"], 0, 1)
    wait_for("no", lambda: b"not_offered" in (station.below("refused") or [b""])[-1])
    assert operator.ask("POST", f"{one}/pause")[0] == 409
    assert operator.ask("POST", f"{one}/resume")[0] == 403
    assert admin.ask("POST", f"{one}/resume")[1]["state"] == "going"
    wait_for("it is offered again", lambda: station.below("offer")[-1] != b"")
    status, seen = operator.ask("GET", one)
    assert [(row["station"], row["ring"], row["state"]) for row in seen["stations"]] == [("a", 1, "offered")]
    assert operator.ask("GET", f"{at}/rollouts")[1][0]["id"] == made["id"]
    assert operator.ask("GET", f"{at}/rollouts/none")[0] == 404
    station.close()


def test_an_image_that_was_damaged_on_our_disk_is_served_to_nobody(engine, tmp_path):
    saltline, maker = with_maker(engine, tmp_path)
    saltline.cli("firmware", "add", str(maker.image("1.1.0")))
    file = next((saltline.data / "firmware").iterdir())
    data = bytearray(file.read_bytes())
    data[777] ^= 1
    file.write_bytes(data)
    saltline.start()
    station = Station(saltline, "a", saltline.station("a"), maker.public)
    wait_for("it", lambda: json.loads(saltline.cli("firmware", "stations", "-o", "json")))
    saltline.cli("firmware", "roll-out", "start", f"{MODEL}@1.1.0")
    wait_for("the halt", lambda: state(saltline) == "halted")
    assert "cannot be served" in rollouts(saltline)[0]["why"]
    assert station.below("offer") == []
    station.close()
