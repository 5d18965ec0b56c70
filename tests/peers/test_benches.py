"""Every bench runs once, small, so that it never rots. The figures of `make bench` are not judged here."""

import json
import os
import subprocess
import sys

import pytest

from conftest import ROOT, TARGET


@pytest.mark.parametrize("bench", ["front_door", "door", "whole_path", "footprint", "modbus", "files", "quality", "history", "chain"])
def test_the_bench_runs_small(bench):
    done = subprocess.run(
        [sys.executable, ROOT / f"benches/{bench}.py", "--quick"], capture_output=True, text=True, timeout=300,
        env={**os.environ, "SALTLINE_PROFILE": TARGET.name})
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows and all("bench" in row for row in rows)
