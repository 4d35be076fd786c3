"""Three nights in a few minutes: the schedule fires every minute, and the second run is killed while it works.

python examples/nightly/try.py FOLDER
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

JOB = pathlib.Path(__file__).resolve().parent / "nightly.yaml"
LONGEST = 1800.0  # seconds, after which something is wrong


def main(folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    runs = folder / "runs"
    print(sparring(folder, "schedule", "add", str(JOB), "--cron", "* * * * *", "--backoff", "2"))
    with open(folder / "scheduler.txt", "wb") as out:
        words = [sys.executable, "-m", "sparring", "schedule", "start"]
        scheduler = subprocess.Popen(words, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        try:
            wait(lambda: commits(runs / "nightly-0002") >= 5)
            holder = json.loads((runs / "nightly-0002" / "lease.json").read_text(encoding="utf-8"))["process"]
            print(f"killing process {holder} in the middle of nightly-0002, after {commits(runs / 'nightly-0002')} units\n")
            os.kill(holder, signal.SIGKILL)
            wait(lambda: (runs / "nightly-0003" / "summary.json").exists())
            wait(lambda: "exit code" in sparring(folder, "schedule", "list") or scheduler.poll() is not None)
        finally:
            scheduler.terminate()
            scheduler.wait(60)
    print(sparring(folder, "schedule", "list"))
    print(sparring(folder, "runs", "list"))
    print(sparring(folder, "runs", "show", "runs/nightly-0002"))


def sparring(folder: pathlib.Path, *words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "sparring", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def commits(run: pathlib.Path) -> int:
    return len(list((run / "commits").glob("*.json")))


def wait(for_it) -> None:
    end = time.monotonic() + LONGEST
    while not for_it():
        if time.monotonic() > end:
            sys.exit("it took too long; see scheduler.txt")
        time.sleep(0.1)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
