"""Flyers: what rendering and reading one costs, what share of its words is read. CPU seconds, one thread.

python benchmarks/pictures/flyers.py [--quick]    # prints the figures as JSON
"""

from __future__ import annotations

import functools
import json
import pathlib
import sys
import time
from dataclasses import asdict
from typing import Any

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from benchmarks.shared import Row
from sparring import ocr, registry, vision
from sparring.protocols import Brief

FIRST = 50_000  # seeds of the flyers that are reported; what the reader was set up on lies below
PEER = "rapidocr's defaults"
SPELT = {"recall_plain": "none", "recall_leet": "leet", "recall_spaced": "dotted", "recall_letters_apart": "spacing"}
GOAL = {"recall_leet": 0.95, "recall_spaced": 0.95}


def rows(quick: bool = False) -> list[Row]:
    """The figures of the setting `flyers`."""
    return flyers(6 if quick else 60)


def flyers(n: int) -> list[Row]:
    """`n` flyers of each spelling, half spam, half notices, read by both settings of one reader in turn."""
    ours: dict[str, list[float]] = {metric: [] for metric in SPELT}
    theirs: dict[str, list[float]] = {metric: [] for metric in SPELT}
    others: list[float] = []
    seconds: dict[str, list[float]] = {"render": [], "ours": [], "theirs": []}
    for metric, trick in SPELT.items():
        model, before = registry.make("image_model", "flyer", tricks=[trick]), ""
        if not seconds["render"]:  # fonts, models and word lists are loaded once, not timed
            warm = model.draw([Brief("spam", s) for s in range(8)])[0].image
            ocr.read(warm), defaults(warm)
        for i in range(n):
            start = time.process_time()
            drawn = model.draw([Brief("spam" if i % 2 else "benign", FIRST + i)])[0]
            rendered = time.process_time()
            found = ocr.read(drawn.image)
            read = time.process_time()
            usual = defaults(drawn.image)
            ended = time.process_time()
            text = json.loads(drawn.parameters)["page"]["text"]
            ours[metric].append(ocr.recall(text, found))
            theirs[metric].append(ocr.recall(text, usual))
            if before:
                others.append(ocr.recall(before, found))
            before = text
            for name, spent in zip(seconds, (rendered - start, read - rendered, ended - read), strict=True):
                seconds[name].append(spent)
    made = [
        Row("flyers", "ocr_cpu_s", "CPU-s a flyer", _mean(seconds["ours"]), _mean(seconds["theirs"]), PEER, 0.3, False),
        Row(
            "flyers", "render_ms", "CPU-ms a flyer", 1000 * float(np.median(seconds["render"])), goal=60, higher_is_better=False
        ),
        Row("flyers", "recall_of_another", "share of another flyer's words", _mean(others), higher_is_better=False),
    ]
    unit = "share of words"
    return made + [Row("flyers", m, unit, _mean(ours[m]), _mean(theirs[m]), PEER, GOAL.get(m)) for m in SPELT]


@functools.cache
def _reader() -> Any:
    from rapidocr import RapidOCR

    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    return RapidOCR(params={"Global.log_level": "error", **threads})


def defaults(image: bytes) -> str:
    """What the reader finds as it comes: with its net for upside-down lines, the shorter side at 736, six lines at a time."""
    return "\n".join(_reader()(np.ascontiguousarray(vision.pixels([image], size=480, channels=3)[0][:, :, ::-1])).txts or ())


def _mean(values: list[Any]) -> float:
    return float(np.mean(values))


if __name__ == "__main__":
    json.dump([asdict(row) for row in rows("--quick" in sys.argv)], sys.stdout, indent=1)
