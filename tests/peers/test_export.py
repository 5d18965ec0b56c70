"""Files for a department in the form of Circular 10/2021: a folder, OpenSSH's own server, pyftpdlib with and without TLS."""

import datetime
import getpass
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time

import pytest
from conftest import free_port, wait_for
from test_clocks import push

SLOT = 300
# The last slot that is over, whatever the clock says; and all before it.
END = int(time.time() - 5) // SLOT * SLOT


def stamp(seconds):
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(seconds + 7 * 3600))


def reports(ends, salinity=lambda end: 8.85):
    """Two live reports a slot, around the mean."""
    rows = [{"time": end - 120 * n, "replay": True, "values": {"salinity": salinity(end) + (0.1 if n else -0.1), "ph": 7.126}}
            for end in ends for n in range(2)]
    return json.dumps(rows)


def exporting(engine, url, **keys):
    entry = {"name": "dept", "url": url, "names": ["xuan-hoa=XH01"], "file": "TG_SL_{station}_{time}.txt", "settle": "1s",
             "retry_max": "1s", "patience": "5s", **keys}
    saltline = engine(export={"circular10": [entry]})
    saltline.key = saltline.station("xuan-hoa")
    return saltline


def send(saltline, ends, **how):
    ends = list(ends)
    for n in range(0, len(ends), 100):
        status, said = push(saltline, "xuan-hoa", saltline.key, reports(ends[n:n + 100], **how))
        assert status == 202, said


def name(end):
    return f"TG_SL_XH01_{stamp(end)}.txt"


def files(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def arrived(folder, ends, seconds=30):
    wait_for(f"{len(ends)} files", lambda: set(files(folder)) == {name(end) for end in ends}, seconds=seconds)


def text_of(folder, end):
    return next(folder.rglob(name(end))).read_bytes().decode()


def test_a_folder_gets_each_slot_once_through_kills(engine, tmp_path):
    folder = tmp_path / "dept"
    folder.mkdir()
    saltline = exporting(engine, str(folder), dated_folders=True).start()
    ends = [END - SLOT * n for n in range(288)]
    send(saltline, ends[:144])
    for n in range(6):
        wait_for("some files", lambda: len(files(folder)) >= 20 * (n + 1))
        saltline.kill()
        saltline.start()
    send(saltline, ends[144:])
    arrived(folder, ends, seconds=60)
    day = datetime.datetime.fromtimestamp(END, datetime.timezone(datetime.timedelta(hours=7)))
    assert (folder / day.strftime("%Y/%m/%d") / name(END)).exists()
    assert text_of(folder, END) == f"pH\t7.13\t-\t{stamp(END)}\t00\r\nSal\t8.85\tg/L\t{stamp(END)}\t00\r\n"
    wait_for("nothing waits", lambda: saltline.metric("saltline_export_waiting") == 0)
    # The same readings once more, and a restart: nothing is sent again.
    stood = {p: p.stat().st_mtime_ns for p in folder.rglob("*.txt")}
    saltline.kill()
    saltline.start()
    send(saltline, ends)
    wait_for("looked at again", lambda: saltline.metric("saltline_readings_duplicate_total") >= 1000)
    time.sleep(3)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*.txt")} == stood
    # A correction of an old slot is sent again, under the same name.
    send(saltline, [ends[7]], salinity=lambda end: 9.05)
    wait_for("the correction", lambda: "\nSal\t9.05\t" in text_of(folder, ends[7]))


def test_a_new_export_sends_what_was_measured_since_a_day(engine, tmp_path):
    folder, whole = tmp_path / "dept", tmp_path / "whole"
    folder.mkdir()
    whole.mkdir()
    saltline = exporting(engine, str(whole)).start()
    ends = [END - SLOT * n for n in range(60)]
    send(saltline, ends)
    arrived(whole, ends)
    saltline.stop()
    # The second export is new, and begins in the middle of a slot.
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends[40] - SLOT // 2))
    first = saltline.sections["export"]["circular10"][0]
    saltline.sections["export"]["circular10"].append({**first, "name": "again", "url": str(folder), "from": since})
    saltline.write_config()
    saltline.start()
    arrived(folder, ends[:41])
    # A kill in the middle, a correction of what is before `from`: nothing of it is sent.
    saltline.kill()
    saltline.start()
    send(saltline, [ends[50], ends[3]], salinity=lambda end: 9.05)
    wait_for("the correction", lambda: "\nSal\t9.05\t" in text_of(folder, ends[3]))
    # Each export follows by itself: that one is there says nothing of the other.
    wait_for("the other correction", lambda: "\nSal\t9.05\t" in text_of(whole, ends[50]))
    assert len(files(folder)) == 41


def test_what_cannot_be_trusted_has_no_value_and_what_has_no_symbol_is_left_out(engine, tmp_path):
    folder = tmp_path / "dept"
    folder.mkdir()
    saltline = exporting(engine, str(folder), line_end="lf", symbols=["chlorophyll=Chla"]).start()
    values = {"salinity": {"value": 99, "status": "measuring"}, "ph": {"value": 7, "status": "calibrating"}, "dissolved_oxygen": None,
              "chlorophyll": 5.25, "wind_speed": 3, "conductivity": 15.2, "water_temperature": 28.4}
    assert push(saltline, "xuan-hoa", saltline.key, json.dumps({"time": END, "replay": True, "values": values}))[0] == 202
    arrived(folder, [END])
    rows = dict(line.split("\t", 1) for line in text_of(folder, END).splitlines())
    at = stamp(END)
    assert rows == {"Chla": f"5.25\tug/L\t{at}\t00", "EC": f"15.2\tmS/cm\t{at}\t00", "DO": f"\tmg/L\t{at}\t02", "pH": f"\t-\t{at}\t02",
                    "Sal": f"\tg/L\t{at}\t02", "Temp": f"28.4\toC\t{at}\t00"}


def test_what_is_exported_is_what_we_read_ourselves(engine, tmp_path):
    """One engine's export is another one's watched folder."""
    folder = tmp_path / "between"
    folder.mkdir()
    saltline = exporting(engine, str(folder))
    saltline.sections["ingest"] = {"drop": [{"name": "in", "dir": str(folder), "settle": "200ms", "every": "100ms", "station": "copy"}]}
    saltline.write_config()
    saltline.station("copy")
    saltline.sections["export"]["circular10"][0]["stations"] = ["xuan-hoa"]
    saltline.write_config()
    saltline.start()
    ends = [END - SLOT * n for n in range(5)]
    send(saltline, ends, salinity=lambda end: round(end % 7 + 0.25, 2))
    rows = wait_for("the copies", lambda: len(rows := saltline.readings("copy", "salinity")) == 5 and rows)
    assert [row["value"] for row in rows] == [round(end % 7 + 0.25, 2) for end in sorted(ends)]


def test_a_folder_that_is_away_is_waited_for(engine, tmp_path):
    folder = tmp_path / "mount/dept"
    saltline = exporting(engine, str(folder)).start()
    ends = [END - SLOT * n for n in range(3)]
    send(saltline, ends)
    wait_for("tries", lambda: saltline.metric("saltline_export_total") >= 2)
    assert saltline.metric("saltline_export_waiting") == 3 and not folder.exists()
    assert saltline.metric("saltline_export_oldest_seconds") > SLOT
    folder.mkdir(parents=True)
    # A name that stands in the way holds back itself and no other.
    (folder / name(ends[2])).mkdir()
    wait_for("the others", lambda: {name(ends[0]), name(ends[1])} <= set(files(folder)))
    (folder / name(ends[2])).rmdir()
    arrived(folder, ends)
    # `.part` files do not stay.
    assert all(it.endswith(".txt") for it in files(folder))


class Sshd:
    """sshd of OpenSSH on loopback, as whoever runs the tests, which can go away and come back on its port."""

    def __init__(self, keys):
        self.binary, self.port, self.keys, self.process = shutil.which("sshd", path="/usr/sbin:/usr/bin"), free_port(), keys, None
        assert self.binary, "openssh-server is missing; make test installs it"
        keys.mkdir(mode=0o700)
        for key in ("host", "ours", "other"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / key], check=True)
        (keys / "allowed").write_text((keys / "ours.pub").read_text())
        (keys / "known").write_text(f"[127.0.0.1]:{self.port} {(keys / 'host.pub').read_text()}")
        (keys / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\nPidFile none\nAuthorizedKeysFile {keys}/allowed\nUsePAM no\n"
            "StrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n")
        if os.geteuid() == 0:
            pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)

    def start(self):
        self.process = subprocess.Popen([self.binary, "-D", "-e", "-f", self.keys / "config"], stderr=subprocess.DEVNULL)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def url(self, folder):
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}{folder}"


@pytest.fixture
def sshd(tmp_path):
    server = Sshd(tmp_path / "keys")
    yield server
    server.stop()


def test_openssh_takes_each_slot_and_a_gap_oldest_first(engine, tmp_path, sshd):
    folder = tmp_path / "in coming"
    folder.mkdir()
    saltline = exporting(engine, sshd.url(str(folder).replace(" ", "%20")), dated_folders=True, key_file=str(sshd.keys / "ours"),
                         known_hosts_file=str(sshd.keys / "known")).start()
    ends = [END - SLOT * n for n in range(60)]
    send(saltline, ends[:40])
    wait_for("tries", lambda: saltline.metric("saltline_export_total") >= 1)
    assert files(folder) == []
    sshd.start()
    arrived(folder, ends[:40])
    assert text_of(folder, END).endswith(f"Sal\t8.85\tg/L\t{stamp(END)}\t00\r\n")
    sshd.stop()
    send(saltline, ends[40:])
    send(saltline, [ends[3]], salinity=lambda end: 9.05)
    saltline.kill()
    saltline.start()
    sshd.start()
    arrived(folder, ends)
    wait_for("the correction", lambda: "\nSal\t9.05\t" in text_of(folder, ends[3]))
    late = [p.stat().st_mtime_ns for end in sorted(ends[40:]) for p in folder.rglob(name(end))]
    assert late == sorted(late), "the oldest goes first"


def test_a_server_that_is_not_the_known_one_gets_nothing(engine, tmp_path, sshd):
    folder = tmp_path / "in"
    folder.mkdir()
    (sshd.keys / "known").write_text(f"[127.0.0.1]:{sshd.port} {(sshd.keys / 'other.pub').read_text()}")
    saltline = exporting(engine, sshd.url(folder), key_file=str(sshd.keys / "ours"), known_hosts_file=str(sshd.keys / "known"))
    saltline.start()
    sshd.start()
    send(saltline, [END])
    wait_for("it is told", lambda: "Host key verification failed" in saltline.log.read_text())
    assert files(folder) == [] and saltline.metric("saltline_export_waiting") == 1
    (sshd.keys / "known").write_text(f"[127.0.0.1]:{sshd.port} {(sshd.keys / 'host.pub').read_text()}")
    arrived(folder, [END])


class Ftpd:
    """pyftpdlib on loopback, in a thread, plain or with TLS that it insists on."""

    def __init__(self, folder, certificate=None):
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler

        users = DummyAuthorizer()
        users.add_user("tram 01", "mật khẩu", str(folder), perm="elradfmw")
        kind = TLS_FTPHandler if certificate else FTPHandler
        keys = {"authorizer": users, "seen": []}
        if certificate:
            keys |= {"certfile": str(certificate), "tls_control_required": True, "tls_data_required": True, "ssl_context": None}
        self.handler = type("Handler", (kind,), keys)
        self.handler.on_file_received = lambda handler, path: handler.seen.append(path)
        self.port, self.server = free_port(), None

    def start(self):
        from pyftpdlib.servers import FTPServer

        self.server = FTPServer(("127.0.0.1", self.port), self.handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"handle_exit": False, "timeout": 0.05}, daemon=True)
        self.thread.start()

    def stop(self):
        if self.server:
            self.server.close_all()
            self.thread.join(5)
            self.server = None


@pytest.fixture
def ftpd(tmp_path):
    made = []

    def make(folder, **keys):
        made.append(Ftpd(folder, **keys))
        return made[-1]

    yield make
    for server in made:
        server.stop()


def test_an_ftp_server_takes_each_slot_through_an_outage(engine, tmp_path, ftpd):
    folder = tmp_path / "in"
    (folder / "dept").mkdir(parents=True)
    (tmp_path / "password").write_text("mật khẩu\n")
    server = ftpd(folder)
    saltline = exporting(engine, f"ftp://tram%2001@127.0.0.1:{server.port}/dept", password_file=str(tmp_path / "password"), dated_folders=True)
    saltline.start()
    ends = [END - SLOT * n for n in range(120)]
    send(saltline, ends[:100])
    wait_for("tries", lambda: saltline.metric("saltline_export_total") >= 1)
    server.start()
    arrived(folder, ends[:100])
    server.stop()
    send(saltline, ends[100:])
    send(saltline, [ends[0]], salinity=lambda end: 9.05)
    server.start()
    arrived(folder, ends)
    wait_for("the correction", lambda: "\nSal\t9.05\t" in text_of(folder, ends[0]))
    assert all(path.endswith(".part") for path in server.handler.seen), "nothing has its name before it is whole"
    assert "mật khẩu" not in saltline.log.read_text()


def test_a_wrong_password_is_told_and_nothing_is_lost(engine, tmp_path, ftpd):
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "password").write_text("wrong")
    server = ftpd(folder)
    server.start()
    saltline = exporting(engine, f"ftp://tram%2001@127.0.0.1:{server.port}/", password_file=str(tmp_path / "password")).start()
    send(saltline, [END])
    wait_for("it is told", lambda: "530" in saltline.log.read_text() or "Authentication failed" in saltline.log.read_text())
    saltline.stop()
    (tmp_path / "password").write_text("mật khẩu")
    saltline.start()
    arrived(folder, [END])


def certificate(folder):
    """A server's certificate that it signed itself: `ca.pem`, and `both.pem` with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "dept")])
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "ca.pem").write_bytes(made)
    (folder / "both.pem").write_bytes(secret + made)


def test_ftp_with_tls_is_spoken_where_the_certificate_is_trusted(engine, tmp_path, ftpd):
    certificate(tmp_path)
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "password").write_text("mật khẩu")
    server = ftpd(folder, certificate=tmp_path / "both.pem")
    server.start()
    saltline = exporting(engine, f"ftps://tram%2001@localhost:{server.port}/", password_file=str(tmp_path / "password"))
    saltline.start()
    send(saltline, [END])
    wait_for("a certificate of nobody's is refused", lambda: "export waits" in saltline.log.read_text())
    assert files(folder) == []
    saltline.stop()
    saltline.sections["export"]["circular10"][0]["tls_ca_file"] = str(tmp_path / "ca.pem")
    saltline.write_config()
    saltline.start()
    arrived(folder, [END])
