"""Kill a fit with SIGKILL at random moments, run the same command again, and compare the model's bytes.

    python benchmarks/resume.py                      # twenty trials, hashing encoder, a quarter of an hour on 2 cores
    python benchmarks/resume.py --trials 5 --json
    python benchmarks/resume.py --encoder minilm --rows 3000

Every trial has its own output folder and embedding cache. Its kills are spread over the time that an uninterrupted fit
takes; every fourth trial is killed twice. PASS: every file of every model has the SHA-256 of the uninterrupted one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

TACIT = "import sys; sys.argv[0] = 'tacit'; from tacit.cli.main import main; main()"


@dataclass(frozen=True)
class Trial:
    """One trial: when it was killed, from where it went on, and whether the bytes are those of the reference."""

    killed_at: list[float]
    went_on_from: list[str]
    seconds_to_finish: float
    same_bytes: bool
    left_over: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--encoder", default="hashing:512")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    dice = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_log(folder / "log.jsonl", options.rows, dice)
        started = time.monotonic()
        fit(folder, "reference", options).wait()
        duration = time.monotonic() - started
        expected = hashes(folder / "reference")
        if not expected:
            print("the uninterrupted fit failed", file=sys.stderr)
            return 1
        if not options.json:
            print(f"{options.rows:,} rows, {options.encoder}; an uninterrupted fit takes {duration:.1f} s")
            print(f"{'trial':>5}  {'killed after':>16}  {'went on from':<42}{'then took':>10}  same bytes")
        trials = []
        for i in range(options.trials):
            trial = run_trial(folder, i, duration, expected, options, dice)
            trials.append(trial)
            if not options.json:
                print_trial(i, trial)
    return report(trials, duration, as_json=options.json)


def write_log(path: Path, rows: int, dice: random.Random) -> None:
    """Four answers to each question; clicks follow good words and the slot."""
    good, bad = ["clear", "correct", "precise", "tested"], ["vague", "wrong", "broken", "sloppy"]
    with path.open("w", encoding="utf-8") as handle:
        for i in range(rows):
            share = dice.random()
            words = [dice.choice(good if dice.random() < share else bad) for _ in range(dice.randint(4, 30))]
            slot = dice.randrange(4)
            copied = dice.random() < share * (0.8, 0.4, 0.2, 0.1)[slot]
            row = {
                "prompt": f"question {i // 4}",
                "response": " ".join(words),
                "slot": slot,
                "copied": copied,
            }
            handle.write(json.dumps(row) + "\n")


def fit(folder: Path, out: str, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """Start `tacit fit`; the same command for the same `out`."""
    arguments = ["fit", "log.jsonl", "--signal", "copied", "--context", "slot", "--out", out]
    arguments += ["--cache", f"cache-{out}", "--encoder", options.encoder, "--epochs", str(options.epochs)]
    return subprocess.Popen(
        [sys.executable, "-c", TACIT, *arguments, "--quiet"], cwd=folder, start_new_session=True
    )


def run_trial(
    folder: Path,
    i: int,
    duration: float,
    expected: dict[str, str],
    options: argparse.Namespace,
    dice: random.Random,
) -> Trial:
    """Kill once or twice, then let the command end."""
    out = f"trial-{i}"
    moments = [duration * (i + dice.random()) / options.trials]
    if i % 4 == 3:
        moments.append(duration * dice.random() / 2)
    found = []
    for moment in moments:
        process = fit(folder, out, options)
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        found.append(states(folder, out))
    started = time.monotonic()
    status = fit(folder, out, options).wait()
    seconds = time.monotonic() - started
    left = sorted(p.name for p in folder.glob(f"*{out}*") if p.name not in (out, f"cache-{out}"))
    same = status == 0 and hashes(folder / out) == expected
    return Trial([round(m, 2) for m in moments], found, round(seconds, 2), same, left)


def states(folder: Path, out: str) -> str:
    """What lies on disk after a kill: the states and their epochs, the model, or nothing."""
    if (folder / out).is_dir():
        return "the finished model"
    found = []
    for path in sorted((folder / f"{out}.partial").glob("*/*.safetensors")):
        if path.name.startswith("."):
            continue  # a half-written state, which nobody reads
        with path.open("rb") as handle:
            (size,) = struct.unpack("<Q", handle.read(8))
            state = json.loads(json.loads(handle.read(size))["__metadata__"]["state"])
        found.append(f"{path.stem} {'done' if state['finished'] else 'epoch ' + str(state['epoch'])}")
    return ", ".join(found) or "the beginning"


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder."""
    if not folder.is_dir():
        return {}
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def print_trial(i: int, trial: Trial) -> None:
    killed = ", ".join(f"{moment:.1f} s" for moment in trial.killed_at)
    left = f"  left over: {', '.join(trial.left_over)}" if trial.left_over else ""
    print(
        f"{i + 1:>5}  {killed:>16}  {trial.went_on_from[-1]:<42}{trial.seconds_to_finish:>8.1f} s  "
        f"{'yes' if trial.same_bytes else 'NO'}{left}",
        flush=True,
    )


def report(trials: list[Trial], duration: float, *, as_json: bool) -> int:
    resumed = sum(any("head-" in state for state in trial.went_on_from) for trial in trials)
    same = sum(trial.same_bytes and not trial.left_over for trial in trials)
    passed = same == len(trials)
    if as_json:
        rows = [asdict(trial) for trial in trials]
        print(
            json.dumps({"rows": rows, "uninterrupted_seconds": duration, "resumed": resumed, "pass": passed})
        )
    else:
        print(
            f"{'PASS' if passed else 'FAIL'}: {same} of {len(trials)} killed fits ended with the same bytes and "
            f"nothing left over; {resumed} of them went on from a saved state"
        )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
