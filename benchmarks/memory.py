"""Peak memory of training on two million rows: private memory, so mapped tables do not count.

Generates JSON lines with five labels, trains a scratch encoder of two layers in a process of its
own with an empty cache, and samples RssAnon of that process from /proc (Linux only).
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _common import Target, print_closing_line

NUM_LABELS = 5
NUM_DEV = 500
PAUSE = 0.2

EXPERIMENT = """\
encoder: {{kind: scratch, layers: 2, width: 192, vocabulary: 8000, max_tokens: 64}}
data:
  texts: {{train: train.jsonl, dev: dev.jsonl}}
tasks:
  label: {{kind: classify, data: texts, text: text, label: label}}
train: {{epochs: 1, max_steps: {steps}, batch_tokens: 1024, seed: 1}}
"""


def main() -> None:
    """Prints the peak in MB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generator = random.Random(1)  # noqa: S311
        write_rows(folder / "train.jsonl", options.rows, generator)
        write_rows(folder / "dev.jsonl", NUM_DEV, generator)
        (folder / "experiment.yaml").write_text(EXPERIMENT.format(steps=options.steps))
        size = (folder / "train.jsonl").stat().st_size / 1e6
        print(f"{options.rows} rows, {size:.0f} MB of JSON lines, {options.steps} steps")
        started = time.perf_counter()
        peak = peak_while_training(folder)
        seconds = time.perf_counter() - started
    print(f"peak of RssAnon: {peak:.0f} MB in {seconds:.0f} s")
    print_closing_line({"peak_mb": peak, "seconds": seconds}, {"peak_mb": Target("<", 1500)})


def write_rows(file: Path, num_rows: int, generator: random.Random) -> None:
    """Rows of 4 to 16 made-up words; the first word decides the label."""
    words = ["".join(generator.choices("abcdefghilmnoprstu", k=n)) for n in (3, 5, 7, 9) * 5000]
    with file.open("w", encoding="utf-8") as stream:
        for _ in range(num_rows):
            first = generator.randrange(len(words))
            rest = generator.choices(words, k=generator.randint(3, 15))
            row = {"text": " ".join([words[first], *rest]), "label": f"label_{first % NUM_LABELS}"}
            stream.write(json.dumps(row) + "\n")


def peak_while_training(folder: Path) -> float:
    """The highest RssAnon of `polytask train`, in MB. Raises SystemExit if it fails."""
    command = [sys.executable, "-m", "polytask", "train", "experiment.yaml", "--out", "run"]
    environment = {**os.environ, "POLYTASK_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    log = folder / "log.txt"
    peak = 0.0
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=stream, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                peak = max(peak, private_memory(process.pid))
                time.sleep(PAUSE)
        finally:
            process.kill()
    if process.returncode:
        raise SystemExit(f"the training failed:\n{log.read_text()[-2000:]}")
    return peak


def private_memory(process: int) -> float:
    """RssAnon of a process in MB, 0 once it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    kilobytes = [line.split()[1] for line in lines if line.startswith("RssAnon:")]
    return int(kilobytes[0]) * 1024 / 1e6 if kilobytes else 0.0


if __name__ == "__main__":
    main()
