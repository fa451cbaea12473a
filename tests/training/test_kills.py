"""Training that is killed without warning ends as if it had not been."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "kills.py"


def test_ten_kills_half_of_them_inside_a_save_change_nothing() -> None:
    command = [sys.executable, str(SCRIPT), "--kills", "10", "--runs", "2"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    closing = json.loads(done.stdout.splitlines()[-1])
    assert closing["met"], done.stdout
