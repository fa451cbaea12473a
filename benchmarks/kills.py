"""Kills training without warning, again and again, and compares what comes out in the end.

Three experiments, each with two ways of balancing, are trained once in peace and once under
`kill -9`: half of the kills at a moment drawn at random, half of them when a save has begun. After
each the same command is run again. Every start must go on from the newest checkpoint, at every
instant there must be a whole one once there was a first, and the model at the end must be the
same, bit for bit, as that of the run in peace. Temporary files go to another file system if there
is one; none may be left.

    python benchmarks/kills.py --kills 100

A start is a copy of this process, which has imported polytask: kills do not fall into imports.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import re
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess
from pathlib import Path

import torch
from _common import Target, print_closing_line

from polytask.cli import main as run_command

NUM_ROWS = 240
WORDS = ("printer", "floor", "three", "eats", "every", "page", "lamp", "Oslo", "Rome", "Lima")
DATA = """\
data:
  texts: {train: texts.jsonl, dev: dev.jsonl}
  others: {train: others.jsonl, dev: dev.jsonl}
train: {epochs: 3, batch_tokens: 320, device: cpu, precision: float32, seed: 5}
checkpoints: {every_steps: 3, keep: 2}
"""
EXPERIMENTS: Mapping[str, str] = {
    "transformer": """\
encoder: {kind: scratch, layers: 2, width: 96, attention_heads: 2, vocabulary: 300, max_tokens: 32}
tasks:
  label: {kind: classify, data: texts, text: text, label: label}
  tags: {kind: tag, data: texts, words: words, tags: tags}
  score: {kind: regress, data: others, text: text, value: score}
mixing: {kind: proportional}
""",
    "bilstm": """\
encoder: {kind: bilstm, layers: 1, width: 64, vocabulary: 300, max_tokens: 32}
tasks:
  tags: {kind: tag, data: texts, words: words, tags: tags, decoder: crf}
  labels: {kind: multilabel, data: others, text: text, labels: labels}
mixing: {kind: unimax, oversample: {}}
""",
    "words": """\
encoder: {kind: scratch, layers: 1, width: 64, attention_heads: 2, vocabulary: 300, max_tokens: 32}
tasks:
  fill: {kind: fill, data: texts, text: text}
  label: {kind: classify, data: others, text: text, label: label}
  level: {kind: ordinal, data: others, text: text, label: level, levels: ["1", "2", "3"]}
mixing: {kind: exp3}
""",
}
COUNTED = (
    "kills",
    "inside_a_save",
    "went_on",
    "failed_starts",
    "other_models",
    "leftovers",
    "instants_without",
)
BALANCING = ("{kind: uncertainty}", "{kind: upgrad, gradients: stale}")


@dataclass
class Found:
    """What the kills of one run came upon."""

    kills: int = 0
    inside_a_save: int = 0
    while_starting: int = 0
    failed_starts: list[str] = field(default_factory=list)
    instants_without: int = 0
    looks: int = 0
    runs: int = 0
    went_on: int = 0


def write_data(folder: Path) -> None:
    """Rows of words with a label of every kind that the experiments read."""
    draw = random.Random(1)  # noqa: S311
    for name, num in (("texts", NUM_ROWS), ("others", NUM_ROWS // 3), ("dev", 30)):
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as stream:
            for _ in range(num):
                words = draw.choices(WORDS, k=draw.randint(3, 20))
                cities = [word[0].isupper() for word in words]
                row = {
                    "text": " ".join(words),
                    "words": words,
                    "label": words[0],
                    "tags": ["B-city" if is_city else "O" for is_city in cities],
                    "score": sum(map(len, words)) / len(words),
                    "labels": sorted({word for word in words if word in WORDS[:4]}),
                    "level": str(1 + min(sum(cities), 2)),
                }
                stream.write(json.dumps(row) + "\n")


@dataclass(frozen=True, slots=True)
class Training:
    """What is trained, and in what surroundings: a cache of its own, temporary files elsewhere."""

    experiment: Path
    cache: Path
    temporary: Path
    threads: int

    def start(self, run: Path) -> ForkProcess:
        """A process of its own that trains, or goes on: this one, which has imported all of it."""
        process = multiprocessing.get_context("fork").Process(target=self._train, args=(run,))
        process.start()
        return process

    def _train(self, run: Path) -> None:
        with log_of(run).open("wb") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        os.environ |= {"TMPDIR": str(self.temporary), "XDG_CACHE_HOME": str(self.cache)}
        tempfile.tempdir = None
        torch.set_num_threads(self.threads)
        sys.argv = ["polytask", "train", str(self.experiment), "--out", str(run)]
        run_command()


def log_of(run: Path) -> Path:
    """Where the process writes what it prints."""
    return run.with_suffix(".log")


def digests(run: Path) -> dict[str, str]:
    """The hashes of the model's files."""
    files = sorted((run / "model").rglob("*"))
    return {
        str(file.relative_to(run)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.is_file()
    }


def leftovers(run: Path) -> list[Path]:
    """Folders and files of a write that did not end."""
    return [path for path in run.rglob(".*") if path.name.startswith((".staged-", ".old-"))]


def _files(temporary: Path) -> list[Path]:
    """What was left among temporary files, an empty cache of torch's compiler apart."""
    return [path for path in temporary.rglob("*") if path.is_file()]


def newest_whole(checkpoints: Path) -> int:
    """The step of the newest checkpoint whose files have the hashes of its manifest, 0 if none."""
    for one in sorted(checkpoints.glob("step-*"), reverse=True):
        file = one / "manifest.json"
        manifest = json.loads(file.read_text("utf-8")) if file.is_file() else {"": ""}
        if all(
            (one / name).is_file()
            and hashlib.sha256((one / name).read_bytes()).hexdigest() == digest
            for name, digest in manifest.items()
        ):
            return int(one.name.removeprefix("step-"))
    return 0


def is_whole_somewhere(checkpoints: Path) -> bool:
    """Whether a checkpoint with a manifest stands in its place."""
    return any((one / "manifest.json").is_file() for one in checkpoints.glob("step-*"))


def wait_for_a_save(process: ForkProcess, run: Path, draw: random.Random) -> None:
    """Returns a moment after a save has begun."""
    checkpoints = run / "checkpoints"
    skipped = draw.randrange(6)
    seen = ""
    while process.is_alive():
        try:
            staged = [e.name for e in os.scandir(checkpoints) if e.name.startswith(".staged-")]
        except FileNotFoundError:
            staged = []
        if staged and staged[0] != seen:
            seen = staged[0]
            skipped -= 1
            if skipped < 0:
                time.sleep(draw.random() * 0.008)
                return
        time.sleep(0.0002)


def watch(process: ForkProcess, run: Path, found: Found) -> None:
    """Looks every 10 ms whether there is a whole checkpoint, once there was one."""
    checkpoints = run / "checkpoints"
    was_there = is_whole_somewhere(checkpoints)
    while process.is_alive():
        # A listing is not one instant: a folder may be renamed while it is made, so look twice.
        is_there = is_whole_somewhere(checkpoints) or is_whole_somewhere(checkpoints)
        found.looks += was_there
        found.instants_without += was_there and not is_there
        was_there = was_there or is_there
        time.sleep(0.01)


def is_wanting(found: Found, kills: int) -> bool:
    """Whether more kills are wanted, or more of them inside a save."""
    return found.kills < kills or 2 * found.inside_a_save < kills


def is_finished(run: Path) -> bool:
    """Whether a run was killed so late that it is finished."""
    file = run / "run.json"
    return file.is_file() and json.loads(file.read_text("utf-8"))["status"] == "finished"


def killed(
    training: Training,
    run: Path,
    *,
    kills: int,
    seconds: float,
    draw: random.Random,
    found: Found,
) -> None:
    """Trains to the end under at most so many kills, those at random within so many seconds."""
    while True:
        before, newest = set(leftovers(run)), newest_whole(run / "checkpoints")
        process = training.start(run)
        watcher = threading.Thread(target=watch, args=(process, run, found))
        watcher.start()
        if is_wanting(found, kills):
            if 2 * found.inside_a_save < found.kills:
                wait_for_a_save(process, run, draw)
            else:
                time.sleep(draw.random() * seconds)
            has_saved = is_whole_somewhere(run / "checkpoints")
            process.kill()
        process.join()
        watcher.join()
        printed = log_of(run).read_text("utf-8", errors="replace")
        told = re.search(r"Going on from step (\d+)", printed)
        if told and int(told[1]) != newest:
            found.failed_starts.append(f"went on from step {told[1]}, not from {newest}")
        found.went_on += bool(told and newest)
        if process.exitcode not in (0, -9):
            found.failed_starts.append(printed[-600:])
            return
        if process.exitcode == 0 or is_finished(run):
            return
        found.kills += 1
        found.inside_a_save += bool(set(leftovers(run)) - before)
        found.while_starting += not has_saved


def train_in_peace(training: Training, run: Path) -> float:
    """Trains to the end and gives the seconds that took. Raises RuntimeError if it fails."""
    started = time.perf_counter()
    process = training.start(run)
    process.join()
    if process.exitcode:
        raise RuntimeError(log_of(run).read_text("utf-8"))
    return time.perf_counter() - started


def main() -> None:
    """Prints a line for each run and the closing line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--runs", type=int, default=6, help="of three experiments in two ways")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw = random.Random(options.seed)  # noqa: S311
    elsewhere = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108
    ways = [
        (name, BALANCING[(place + turn) % 2])
        for turn in range(2)
        for place, name in enumerate(EXPERIMENTS)
    ][: options.runs]
    each, rest = divmod(options.kills, len(ways))
    shares = [each + (place < rest) for place in range(len(ways))]
    totals: dict[str, float] = dict.fromkeys(COUNTED, 0)
    for place, ((name, balancing), kills) in enumerate(zip(ways, shares, strict=True)):
        with (
            tempfile.TemporaryDirectory() as made,
            tempfile.TemporaryDirectory(dir=elsewhere) as temporary,
        ):
            folder = Path(made)
            write_data(folder)
            experiment = folder / "experiment.yaml"
            experiment.write_text(EXPERIMENTS[name] + f"balancing: {balancing}\n" + DATA, "utf-8")
            training = Training(experiment, folder / "cache", Path(temporary), 1 + place % 2)
            seconds = train_in_peace(training, folder / "peace")
            found, others, left = Found(), 0, []
            while not found.failed_starts and is_wanting(found, kills):
                run = folder / f"killed{found.runs}"
                killed(training, run, kills=kills, seconds=seconds, draw=draw, found=found)
                found.runs += 1
                others += digests(run) != digests(folder / "peace")
                left += leftovers(run)
            left += _files(Path(temporary))
        totals["kills"] += found.kills
        totals["inside_a_save"] += found.inside_a_save
        totals["failed_starts"] += len(found.failed_starts)
        totals["other_models"] += others
        totals["leftovers"] += len(left)
        totals["instants_without"] += found.instants_without
        totals["went_on"] += found.went_on
        print(
            f"{name}, {balancing}: {found.kills} kills, {found.inside_a_save} inside a save, "
            f"{found.while_starting} before a first checkpoint; a whole checkpoint at "
            f"{found.looks - found.instants_without} of {found.looks} looks; "
            f"{found.went_on} starts went on from the newest; "
            f"{found.runs} runs, {others} with another model; left over: {len(left)}",
            flush=True,
        )
        for text in (*found.failed_starts, *map(str, left)):
            print(text)
    zero = ("failed_starts", "other_models", "leftovers", "instants_without")
    targets = {name: Target("<=", 0) for name in zero}
    targets["kills"] = Target(">=", options.kills)
    targets["went_on"] = Target(">=", options.kills // 3)
    targets["inside_a_save"] = Target(">=", options.kills // 2)
    print_closing_line(totals, targets)


if __name__ == "__main__":
    main()
