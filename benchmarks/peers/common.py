"""What all peers share: `PYTHON peers/NAME_run.py REQUEST.json RESPONSE.json` inside the peer's environment.

Request: setting, recipe, train (texts), labels (1 = spam), threshold, seeds, seed_scores (what our target gave them, to prove
that the peer attacks the same one), limit_queries (int or null), seed.

Response: recipe, versions, rows (success, text, queries, seconds; one a seed, in order), and in seconds: fit_seconds, seconds
(all attacks, from the first clean check to the last score), of which target_seconds inside the target's predict and
judge_seconds inside a validity constraint. A recipe whose data cannot be had answers `unavailable` with the reason, no rows.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import targets

FIELDS = ("setting", "recipe", "train", "labels", "threshold", "seeds", "seed_scores", "limit_queries", "seed")
TOLERANCE = 1e-4  # of a score: other versions of transformers differ by about 1e-6

ENVIRONMENT = {"PYTHONHASHSEED": "0", "HF_HUB_OFFLINE": "1"}
ENVIRONMENT |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

Row = dict[str, Any]
Attack = Callable[[dict[str, Any], "Scorer"], Iterator[Row]]


class Unavailable(Exception):
    """What a recipe needs is not installed: the answer says so, and no figure stands in for it."""


class Scorer:
    """The target of one seed at a time: every text is scored once, and every score that was returned is a query."""

    def __init__(self, predict_proba: Callable[[list[str]], np.ndarray], threshold: float):
        self._predict_proba, self.threshold = predict_proba, threshold
        self.target_seconds = self.judge_seconds = 0.0
        self.known: dict[str, float] = {}

    def begin(self) -> None:
        self.known = {}

    @property
    def queries(self) -> int:
        return len(self.known)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """(n,) float: the score of each text; spam when above the threshold."""
        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        if new:
            start = time.process_time()
            scores = self._predict_proba(new)[:, 1]
            self.target_seconds += time.process_time() - start
            self.known.update(zip(new, map(float, scores), strict=True))
        return np.array([self.known[text] for text in texts])

    def row(self, text: str, start: float) -> Row:
        """The answer for this seed; `text` was scored."""
        success = self.known[text] <= self.threshold
        return {"success": success, "text": text, "queries": self.queries, "seconds": time.process_time() - start}


def one_shot(seeds: Sequence[str], scorer: Scorer, convert: Callable[[str], str], seed: int) -> Iterator[Row]:
    """One candidate a seed: the clean check and the candidate, two queries (one where nothing was changed)."""
    for i, text in enumerate(seeds):
        reseed(seed, i)
        start = time.process_time()
        scorer.begin()
        scorer([text])
        candidate = convert(text)
        scorer([candidate])
        yield scorer.row(candidate, start)


def reseed(seed: int, i: int) -> None:
    """Peers draw from the global generators; so a seed's outcome does not hang on the seeds before it."""
    random.seed(1_000_003 * seed + i)
    np.random.seed((1_000_003 * seed + i) % 2**32)


def start(attack: Attack, packages: Sequence[str]) -> None:
    """`main` in a process of one thread whose sets have the same order every time: nlpaug draws from one."""
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ENVIRONMENT)
    main(attack, packages)


def main(attack: Attack, packages: Sequence[str]) -> None:
    """Answers the request named on the command line; what is wrong with it ends the process with an error."""
    request = checked(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")))
    answer: dict[str, Any] = {"recipe": request["recipe"], "versions": versions(packages), "rows": []}
    try:
        answer |= answered(attack, request)
    except Unavailable as missing:
        answer["unavailable"] = str(missing)
        sys.stderr.write(f"{request['recipe']}: not available: {missing}\n")
    pathlib.Path(sys.argv[2]).write_text(json.dumps(answer, ensure_ascii=False, indent=1), encoding="utf-8")


def answered(attack: Attack, request: dict[str, Any]) -> dict[str, Any]:
    start = time.process_time()
    scorer = Scorer(fitted(request).predict_proba, request["threshold"])
    same_target(scorer, request)
    fit_seconds = time.process_time() - start
    scorer.target_seconds = 0.0
    rows = list(attack(request, scorer))
    return {
        "rows": rows,
        "fit_seconds": fit_seconds,
        "seconds": sum(row["seconds"] for row in rows),
        "target_seconds": scorer.target_seconds,
        "judge_seconds": scorer.judge_seconds,
    }


def checked(request: dict[str, Any]) -> dict[str, Any]:
    if set(request) != set(FIELDS):
        raise SystemExit(f"expected a request with {', '.join(FIELDS)}; got {', '.join(request)}")
    if request["limit_queries"] is not None and request["limit_queries"] < 2:
        raise SystemExit(f"expected limit_queries of at least 2 (the clean check and one try); got {request['limit_queries']}")
    if len(request["seeds"]) != len(request["seed_scores"]):
        raise SystemExit(f"expected a score for each of {len(request['seeds'])} seeds; got {len(request['seed_scores'])}")
    if not all(score > request["threshold"] for score in request["seed_scores"]):
        raise SystemExit(
            "expected seeds that the target catches: every seed score above the threshold. Fix: leave the others out"
        )
    return request


def fitted(request: dict[str, Any]) -> Any:
    model = targets.target(request["setting"])
    if request["setting"] != "minilm":
        return model.fit(request["train"], request["labels"])
    model[-1].fit(train_vectors(request["train"]), request["labels"])  # the embedding has nothing to fit
    return model


def train_vectors(texts: list[str]) -> np.ndarray:
    """`targets.embed`, kept in the peer's environment: every recipe attacks a target fitted on the same rows."""
    key = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
    path = pathlib.Path(sys.prefix) / "cache" / f"minilm-{key}.npy"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        aside = path.with_suffix(".part.npy")
        np.save(aside, targets.embed(texts))
        aside.replace(path)
    return np.load(path)


def same_target(scorer: Scorer, request: dict[str, Any]) -> None:
    if not request["seeds"]:
        return
    off = np.abs(scorer(request["seeds"]) - np.array(request["seed_scores"]))
    if off.max() >= TOLERANCE:
        raise SystemExit(f"expected the same target: seed {off.argmax()} scores {off.max():.2g} apart, {TOLERANCE} is allowed")


def versions(packages: Sequence[str]) -> dict[str, str]:
    names = (*packages, "scikit-learn", "numpy", "torch", "transformers")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}
