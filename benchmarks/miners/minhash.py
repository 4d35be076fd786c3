"""Near-duplicate texts: 100,000 short messages grown from the SMS set, with planted copies, against datasketch.

    python benchmarks/miners/minhash.py [--quick]    # prints the rows as JSON; about 2 minutes, --quick a tenth of the texts

What is planted is made here, by other tables and rules than those that the canonical form undoes it with.
"""

from __future__ import annotations

import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from benchmarks import shared
from benchmarks.shared import ROOT
from mining.duplicates import minhash
from sparring.text import canonical, groups

SETTING, THRESHOLD, SEED = "minhash_100k", 0.7, 2026
GOALS = {"leet": 0.95, "homoglyph": 0.95, "zero_width": 0.95, "bold": 0.95, "spaced": 0.90}
PEER, STORED = "datasketch", "mining"

_LEET = str.maketrans("aeiostAEIOST", "431057431057")
_LOOKS: dict[str, str] = {}  # Cyrillic and Greek letters, several for some Latin ones
for _look, _latin in zip(
    "асеіјорѕхуԁԛԝһκνοραтвнкмАВЕІЈКМНОРСЅТХУΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aceijopsxydqwhkvopatbhkmABEIJKMHOPCSTXYABEZHIKMNOPTYX",
    strict=True,
):
    _LOOKS[_latin] = _LOOKS.get(_latin, "") + _look


def _leet(text: str, rng: random.Random) -> str:
    return text.translate(_LEET)


def _homoglyph(text: str, rng: random.Random) -> str:
    return "".join(rng.choice(_LOOKS[c]) if c in _LOOKS and rng.random() < 0.5 else c for c in text)


def _zero_width(text: str, rng: random.Random) -> str:
    return "".join(c + rng.choice("\u200b\u200c\u200d\u2060") if rng.random() < 0.3 else c for c in text)


def _bold(text: str, rng: random.Random) -> str:
    def letter(c: str) -> str:
        return chr(0x1D41A + ord(c) - 97) if "a" <= c <= "z" else chr(0x1D400 + ord(c) - 65) if "A" <= c <= "Z" else c

    return "".join(map(letter, text))


def _spaced(text: str, rng: random.Random) -> str:
    """The letters of every word, and nothing between words but what is between letters too."""
    return " ".join(" ".join(word) if word.isalpha() else word for word in text.split())


DISGUISES: dict[str, Callable[[str, random.Random], str]] = {
    "leet": _leet, "homoglyph": _homoglyph, "zero_width": _zero_width, "bold": _bold, "spaced": _spaced,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Planted:
    """`texts` in random order; `lineage` (n,) the near-duplicate group of the message that a row comes from; `copies` are
    (row, row) of a message and its copy, by what was done to it."""

    texts: list[str]
    lineage: np.ndarray
    copies: dict[str, list[tuple[int, int]]]


def planted(n: int, seed: int) -> Planted:
    """The SMS set; rows with half their words drawn anew, which are near nothing; a tenth copies with a word or two edited, and
    a fiftieth for each disguise."""
    rng, base = random.Random(seed), [r.text or "" for r in shared.sms().records]
    group = groups(base).tolist()
    words = [word for text in base for word in text.split()]
    made = list(zip(base, group, strict=True))[: n // 2]
    count = n // 50
    while len(made) < n - n // 10 - count * len(DISGUISES):
        i = rng.randrange(len(base))
        made.append((" ".join(w if rng.random() < 0.5 else rng.choice(words) for w in base[i].split()), group[i]))
    sources = [i for i, (text, _) in enumerate(made) if len(text.split()) > 2]
    copies: dict[str, list[tuple[int, int]]] = {}
    for kind, disguise in DISGUISES.items():
        chosen = [i for i in rng.sample(sources, 2 * count) if disguise(made[i][0], rng) != made[i][0]][:count]
        copies[kind] = [(i, len(made) + at) for at, i in enumerate(chosen)]
        made += [(disguise(made[i][0], rng), made[i][1]) for i in chosen]
    chosen = rng.sample(sources, n - len(made))
    copies["edited"] = [(i, len(made) + at) for at, i in enumerate(chosen)]
    made += [(_edited(made[i][0], rng, words), made[i][1]) for i in chosen]
    place = list(range(n))
    rng.shuffle(place)
    order = np.argsort(place)
    texts, lineage = [made[i][0] for i in order], np.array([made[i][1] for i in order])
    return Planted(texts, lineage, {kind: [(place[a], place[b]) for a, b in pairs] for kind, pairs in copies.items()})


def _edited(text: str, rng: random.Random, words: list[str]) -> str:
    out = text.split()
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(out))
        out[at : at + rng.randint(0, 1)] = [rng.choice(words)] if rng.random() < 0.7 else []
    return " ".join(out)


def figures(data: Planted, pairs: set[tuple[int, int]]) -> dict[str, float]:
    """Recall of the planted copies by kind, of edited ones where they are still near; precision: the share of pairs whose rows
    come from the same message or have the same letters and digits in the same order."""
    out = {}
    for kind, made in data.copies.items():
        there = made if kind in DISGUISES else [(a, b) for a, b in made if _near(data.texts[a], data.texts[b])]
        out[f"recall_{kind}"] = np.mean([tuple(sorted(p)) in pairs for p in there])
    out["precision"] = np.mean([data.lineage[a] == data.lineage[b] or _same(data.texts[a], data.texts[b]) for a, b in pairs])
    return {name: round(float(value), 4) for name, value in out.items()}


def _near(a: str, b: str) -> bool:
    one, two = ({t[i : i + 5] for i in range(max(1, len(t) - 4))} for t in (canonical(a, "mask"), canonical(b, "mask")))
    return len(one & two) > THRESHOLD * len(one | two)


def _same(a: str, b: str) -> bool:
    one, two = ("".join(c for c in canonical(t, "mask") if c.isalnum()) for t in (a, b))
    return one == two


def ours(data: Planted) -> dict[str, Any]:
    start = time.process_time()
    found = minhash.find(data.texts, threshold=THRESHOLD)
    seconds = time.process_time() - start
    pairs = set(zip(found.pairs.row.tolist(), found.pairs.other.tolist(), strict=True))
    said = {"texts_per_cpu_s": round(len(data.texts) / seconds), "pairs": len(pairs), "measured_recall": found.recall}
    return said | figures(data, pairs)


def datasketch(data: Planted, *, form: bool) -> dict[str, Any]:
    """With `form`, of our canonical form, whose seconds count."""
    start = time.process_time()
    texts = [canonical(text, "mask") for text in data.texts] if form else data.texts
    before = time.process_time() - start if form else 0.0
    with tempfile.TemporaryDirectory() as place:
        asked, answered = pathlib.Path(place) / "request.json", pathlib.Path(place) / "response.json"
        asked.write_text(json.dumps({"texts": texts, "threshold": THRESHOLD}), encoding="utf-8")
        script = ROOT / "benchmarks" / "peers" / f"{PEER}_run.py"
        subprocess.run([ROOT / ".venv-peers" / PEER / "bin" / "python", script, asked, answered], check=True)
        said = json.loads(answered.read_text(encoding="utf-8"))
    n, pairs = len(texts), {(a, b) for a, b in said["pairs"]}
    speed = {"texts_per_cpu_s": round(n / (before + said["whole"])), "bulk_texts_per_cpu_s": round(n / (before + said["bulk"]))}
    return {"version": said["version"], "pairs": len(pairs)} | speed | figures(data, pairs)


def rows(quick: bool) -> tuple[list[shared.Row], dict[str, Any]]:
    """The rows of `minhash_100k` and their tables; `quick`: a tenth of the texts, beside the peer's stored figures."""
    data = planted(10_000 if quick else 100_000, SEED)
    if quick:
        found, peers = [ours(data)], _stored()
    else:
        subprocess.run([sys.executable, ROOT / "benchmarks" / "peers" / "setup.py", PEER], check=True)
        found, peers = [ours(data)], {}
        for name, form in ((PEER, False), (f"{PEER}, our canonical form", True)):
            peers[name] = datasketch(data, form=form)
            found.append(ours(data))
    middle = sorted(found, key=lambda f: f["texts_per_cpu_s"])[len(found) // 2]
    mine = middle | {"runs": [f["texts_per_cpu_s"] for f in found]}
    goals = {"texts_per_cpu_s": 15_000} | {f"recall_{kind}": goal for kind, goal in GOALS.items()}
    out = []
    for metric in ("texts_per_cpu_s", *(m for m in mine if m.startswith("recall_")), "precision"):
        unit, goal = "texts/s" if metric == "texts_per_cpu_s" else "share", goals.get(metric)
        beside = [(name, peer[metric]) for name, peer in peers.items()]
        if metric == "texts_per_cpu_s":
            beside += [(f"{name}, signatures alone", peer[f"bulk_{metric}"]) for name, peer in peers.items()]
        out.append(shared.Row(SETTING, metric, unit, mine[metric], goal=goal))
        out += [shared.Row(SETTING, metric, unit, mine[metric], value, name, goal, stored=quick) for name, value in beside]
    return out, {"texts": len(data.texts), "threshold": THRESHOLD, "seed": SEED, "ours": mine, "peers": peers}


def _stored() -> dict[str, Any]:
    """Out of the whole benchmark's results, whose details hold these under the part's name."""
    path = shared.RESULTS / f"{STORED}.json"
    return shared.read(STORED)["details"].get("minhash", {}).get("peers", {}) if path.exists() else {}


if __name__ == "__main__":
    found, details = rows("--quick" in sys.argv)
    sys.stdout.write(json.dumps({"rows": [shared.asdict(row) for row in found], "details": details}, indent=1) + "\n")
