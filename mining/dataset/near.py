"""Rows that say the same, by text and by embedding, and the groups that folds keep together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparring.graph import components

from ..duplicates import minhash, semantic
from ..duplicates.pairs import Pairs
from ..duplicates.removal import Evidence
from ..labels import folds


@dataclass(frozen=True, slots=True)
class Near:
    """`evidence`: verified pairs by text and by embedding; `group` (n,) int, rows joined by any of them or by lineage; `undone`
    by row: the levels of the canonical form that changed its text, None without texts."""

    evidence: tuple[Evidence, ...]
    group: np.ndarray
    undone: tuple[str, ...] | None
    facts: dict[str, object]
    notes: tuple[str, ...]


def find(
    vectors: np.ndarray, texts: Sequence[str] | None, lineage: np.ndarray | None, *, text: float, cosine: float, seed: int
) -> Near:
    """Pairs with a Jaccard similarity above `text` (character 5-grams, canonical) or a cosine above `cosine`."""
    evidence, notes, undone = [], [], None
    facts: dict[str, object] = {}
    if texts is not None:
        said = minhash.find(texts, threshold=text)
        evidence.append(Evidence("text", said.pairs, text))
        undone = tuple(_undone(bits) for bits in said.undone.tolist())
        facts["near pairs by text"] = len(said.pairs)
        if said.recall is not None:
            facts["recall of near pairs by text"] = round(said.recall[0], 4)
        if said.left_out or not said.complete:
            notes.append("many rows share one text: not every pair of them is listed, but each stands in some")
    found = semantic.near_duplicates(vectors, cosine, seed=seed)
    evidence.append(Evidence("embedding", Pairs.of(len(vectors), found.first, found.second, found.cosine), cosine))
    facts["near pairs by embedding"] = len(found.first)
    if found.recall is not None and found.recall < 1:
        facts["recall of near pairs by embedding"] = round(found.recall, 4)
        notes.append(
            f"near duplicates by embedding are approximate: recall {found.recall:.3f} on {found.checked} checked pairs"
        )
    return Near(tuple(evidence), groups(evidence, lineage, len(vectors)), undone, facts, tuple(notes))


def pairs(evidence: Sequence[Evidence]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, other row and similarity of every pair, each kind of evidence behind the other."""
    row, other, similarity = (
        np.concatenate([getattr(e.pairs, name) for e in evidence]) for name in ("row", "other", "similarity")
    )
    return row, other, similarity


def groups(evidence: Sequence[Evidence], lineage: np.ndarray | None, n: int) -> np.ndarray:
    """(n,) int: connected by any pair or by lineage. A group only keeps rows together; what may go, pairs alone decide."""
    row, other, _ = pairs(evidence)
    return folds.joined(lineage, components(row, other, n))


def _undone(bits: int) -> str:
    return "+".join(name for i, name in enumerate(minhash.UNDONE) if bits >> i & 1)
