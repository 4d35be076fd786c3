"""Rows of a mining result as the report shows them: a card each, its text or image with those of its neighbours beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from sparring import plots, vision
from sparring.plots import count

from .result import MiningResult

NEIGHBOURS, REASONS = 3, 6  # that a card shows
OWN, BESIDE = 104, 52  # pixels of an image's longer side: the row's own, a neighbour's
SHORT = 48  # characters of an id


@dataclass(frozen=True, slots=True)
class Preview:
    """What a card uncovers; `why` says why there is neither text nor image.

    `image` is a data URI, marked safe, since a page clips strings.
    """

    text: str | None = None
    image: Markup | None = None
    width: int = 0
    height: int = 0
    why: str = ""

    @property
    def pieces(self) -> list[plots.Piece]:
        return plots.pieces(self.text or "", self.text or "")

    @property
    def clipped(self) -> bool:
        return len(self.text or "") > plots.CLIP


class Deck:
    """Deals cards out of a result; each has an HTML id of its own."""

    def __init__(self, result: MiningResult, texts: Mapping[str, str] | None, images: Mapping[str, bytes] | None):
        self._table, self._texts, self._images, self._dealt = result.table, texts or {}, images or {}, 0

    def queue(self, label: str, most: int, place: int) -> list[dict[str, Any]]:
        rows = self._rows(pc.equal(self._table["queue"], label), most, ("queue_rank", "ascending"))
        return [self._card(r, f"{count(r['queue_rank'])}.", score=_figure(r["label_score"], "doubt")) for r in rows]

    def hard(self, most: int) -> list[tuple[str, int, list[dict[str, Any]]]]:
        hard = pc.equal(self._table["verdict"], "hard")
        near = pc.is_valid(self._table["hard_negative_rank"])
        rows = self._rows(hard, most, ("hardness", "descending"))
        dealt = [
            (
                "Hard, and worth more weight",
                _true(hard),
                [self._card(r, "", score=_figure(r["hardness"], "hardness")) for r in rows],
            )
        ]
        rows = self._rows(near, most, ("hard_negative_rank", "ascending"))
        cards = [self._card(r, f"{count(r['hard_negative_rank'])}.", score=_figure(r["hardness"], "hardness")) for r in rows]
        return [part for part in (*dealt, ("Hard negatives", _true(near), cards)) if part[2]]

    def other(self, most: int) -> list[tuple[str, int, list[dict[str, Any]]]]:
        parts = []
        for verdict, title in (("ambiguous", "Ambiguous"), ("novel", "Novel")):
            chosen = pc.equal(self._table["verdict"], verdict)
            rows = self._rows(chosen, most, ("hardness", "descending"))
            parts.append((title, _true(chosen), [self._card(r, "", score=_figure(r["label_score"], "doubt")) for r in rows]))
        return [part for part in parts if part[2]]

    def pairs(self, most: int) -> list[dict[str, Any]]:
        """Removed rows with the row that stands for each, those first whose text was disguised."""
        rows = self._rows(pc.is_valid(self._table["stands_for"]), most, ("undone", "ascending"), ("row", "ascending"))
        cards = []
        for r in rows:
            kept, cosines = r["stands_for"], {n["id"]: n["cosine"] for n in r["neighbours"] or ()}
            cosine = _figure(cosines[kept]) if kept in cosines else ""
            beside = [{"head": f"stays: {_short(kept)}", "cosine": cosine, "preview": self._preview(kept, BESIDE)}]
            note = f"undone: {r['undone']}" if r["undone"] else ""
            cards.append(self._card(r | {"reasons": [r["why_removed"] or "near duplicate"]}, "", beside=beside, note=note))
        return cards

    def chosen(self, most: int) -> list[dict[str, Any]]:
        rows = self._rows(pc.is_valid(self._table["selected_rank"]), most, ("selected_rank", "ascending"))
        return [
            self._card(r, f"{count(r['selected_rank'])}.", note="audit, drawn at random" if r["audit"] else "") for r in rows
        ]

    def _rows(self, mask: Any, most: int, *order: tuple[str, str]) -> list[dict[str, Any]]:
        chosen = self._table.filter(pc.fill_null(mask, False))
        indices = pc.sort_indices(chosen, sort_keys=[*order, ("id", "ascending")])
        rows: list[dict[str, Any]] = chosen.take(indices[:most]).to_pylist()
        return rows

    def _card(
        self, r: dict[str, Any], rank: str, *, score: str = "", beside: Sequence[Any] | None = None, note: str = ""
    ) -> dict[str, Any]:
        self._dealt += 1
        given, better = r["label"], r["suggested_label"]
        head = _named(given)
        if better is not None and better != given:
            head = f"{head} → {better}"
        near = r["neighbours"] or ()
        if beside is None:
            beside = [
                {"head": _named(n["label"]), "cosine": _figure(n["cosine"]), "preview": self._preview(n["id"], BESIDE)}
                for n in near[:NEIGHBOURS]
            ]
        own = self._preview(r["id"], OWN)
        return {
            "ident": f"card-{self._dealt}", "id": _short(r["id"]), "row": r["row"], "rank": rank, "head": head, "score": score,
            "verdict": r["verdict"], "reasons": (r["reasons"] or [])[:REASONS], "preview": own, "others": beside, "note": note,
            "near": _by_label(near),
            "hidden": plots.hidden(own.text or ""),
        }  # fmt: skip

    def _preview(self, id: str, side: int) -> Preview:
        text, data = self._texts.get(id), self._images.get(id)
        if data is None:
            return Preview(text=text, why="" if text is not None else "its content was not given")
        return thumbnail(data, side, text)


def thumbnail(data: bytes, side: int, text: str | None = None) -> Preview:
    """A preview of an encoded image at most `side` pixels long; one that no reader understands is said, no error."""
    found = vision.thumbnail(data, side)
    return Preview(text, found.uri, found.width, found.height, why=found.why)


def _true(mask: pa.ChunkedArray) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _figure(value: float | None, of: str = "") -> str:
    return "" if value is None or value != value else f"{of} {value:.2f}".strip()


def _short(id: str) -> str:
    return id if len(id) <= SHORT else id[: SHORT - 1] + "…"


def _named(label: str | None) -> str:
    return "unlabelled" if label is None else label


def _by_label(near: Sequence[Mapping[str, Any]]) -> list[str]:
    """`spam 0.97 0.93`, `ham 0.91`: neighbours' cosines under their labels."""
    of: dict[str, list[str]] = {}
    for n in near[: NEIGHBOURS + 2]:
        of.setdefault(_named(n["label"]), []).append(_figure(n["cosine"]))
    return [" ".join((label, *cosines)).strip() for label, cosines in of.items()]
