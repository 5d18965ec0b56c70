"""What can be wrong with the machine that an engine runs on: a disk that cannot sync or takes long, a clock that jumps."""

import mmap
import os
import pathlib
import struct
import subprocess

SOURCE = pathlib.Path(__file__).with_name("faults.c")
# Where each member of `struct faults` stands.
CLOCK_MS, SLOW_MS, FAILED, SLOWED, FAILS, SLOW, LENGTH = 0, 8, 16, 24, 32, 288, 544


class Faults:
    """The page through which one engine is disturbed."""

    def __init__(self, folder):
        library, page = pathlib.Path(folder) / "faults.so", pathlib.Path(folder) / "faults.page"
        subprocess.run(["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        page.write_bytes(bytes(LENGTH))
        with open(page, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), LENGTH)
        self.env = {**os.environ, "LD_PRELOAD": str(library), "FAULTS": str(page)}

    def _number(self, place, value):
        self.page[place:place + 8] = struct.pack("<q", value)

    def _text(self, place, value):
        self.page[place:place + 256] = value.encode().ljust(256, b"\0")

    def clock(self, seconds):
        self._number(CLOCK_MS, round(seconds * 1000))

    def syncs_fail(self, of_what=""):
        """Syncs of what ends with this fail; of nothing: all is well."""
        self._text(FAILS, of_what)

    def syncs_take(self, seconds, of_what):
        self._number(SLOW_MS, round(seconds * 1000))
        self._text(SLOW, of_what)

    @property
    def failed(self):
        return struct.unpack("<q", self.page[FAILED:FAILED + 8])[0]

    @property
    def slowed(self):
        return struct.unpack("<q", self.page[SLOWED:SLOWED + 8])[0]
