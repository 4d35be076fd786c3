"""Cases from texts: each functionality's, with a label that follows from how it was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from sparring import registry
from sparring.errors import MissingExtra
from sparring.operators.base import Operator
from sparring.record import Step, digest

from .material import Frame, OwnCase, Side, Texts, fillings

STRENGTH = 0.5  # share of the words that a spelling variant changes
FAMILIES = ("character", "word")  # operators of other families add text, whose language they do not know


@dataclass(frozen=True, slots=True)
class Spot:
    """Where in the policy a case belongs; `clause` is None for an example of a whole category."""

    category: str
    clause: str | None = None
    severity: int | None = None

    @property
    def name(self) -> str:
        return self.clause or self.category


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A case before it was screened; the two of a pair share `pair`."""

    functionality: str
    spot: Spot
    text: str
    violating: bool
    language: str
    pair: str | None = None
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Skip:
    """One case that was planned and not made."""

    functionality: str
    category: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """What the makers need beside texts. `operators`: None for all that are registered; `payload`: the policy's patterns;
    `number` tells the materials apart."""

    language: str
    uses: Mapping[str, Side]
    slots: Mapping[str, tuple[str, ...]]
    frames: Mapping[str, tuple[Frame, ...]]
    of_terms: Mapping[str, tuple[str, ...]]
    operators: tuple[str, ...] | None
    payload: tuple[str, ...]
    seed: int
    limit: int | None
    number: int

    def draft(self, functionality: str, spot: Spot, text: str, violating: bool, pair: str | None = None) -> Draft:
        return Draft(
            functionality=functionality, spot=spot, text=text, violating=violating, language=self.language, pair=pair
        )  # fmt: skip


def from_texts(kit: Kit, spot: Spot, texts: Texts) -> Iterator[Draft | Skip]:
    """Every case of one clause's texts."""
    seeds: list[str] = []
    for violating, benign, by in (
        *((t, None, "") for t in texts.examples),
        *((p.violating, p.benign, p.by) for p in texts.pairs),
    ):
        if kit.limit is not None and len(seeds) == kit.limit:
            yield Skip("plain", spot.category, "left out by --limit")
            continue
        seeds.append(fillings((violating,), kit.slots)[0][0])
        yield from _seed(kit, spot, violating, benign, by)
    for seed in seeds:
        yield from _framed(kit, spot, seed)
        yield from _misspelt(kit, spot, seed)
    for functionality, violates, templates in (
        ("implicit", True, texts.implicit),
        ("homonym", False, texts.homonyms),
        ("look_alike", False, texts.look_alikes),
        ("allowed", False, texts.allowed),
    ):
        for template in templates:
            yield from (kit.draft(functionality, spot, text, violates) for (text,) in fillings((template,), kit.slots))
    yield from _used(kit, spot, texts.terms)


def in_frames(kit: Kit, spot: Spot, texts: Texts) -> Iterator[Draft | Skip]:
    """The texts and terms of one language in the frames of another, the kit's: somebody quotes what came from abroad."""
    for seed in (*texts.examples, *(pair.violating for pair in texts.pairs))[: kit.limit]:
        yield from _framed(kit, spot, fillings((seed,), kit.slots)[0][0])
    yield from _used(kit, spot, texts.terms)


def own_case(kit: Kit, spot: Spot, case: OwnCase) -> Draft | Skip:
    side = kit.uses.get(case.functionality) if case.expect == "policy" else case.expect
    if side is None:
        return _undecided(case.functionality, spot)
    return Draft(
        functionality=case.functionality, spot=spot, text=case.text, violating=side == "violating",
        language=case.language or kit.language, pair=case.pair and f"{kit.number} {case.pair}",
    )  # fmt: skip


def _seed(kit: Kit, spot: Spot, violating: str, benign: str | None, by: str) -> Iterator[Draft]:
    """A seed text and its benign edit, then both with other names in them."""
    first, *swapped = fillings((violating, benign or ""), kit.slots)
    for filled in (first, *swapped):
        pair = "\n".join(filled) if filled[1] and (filled is first or filled[1] != first[1]) else None
        if filled is first or filled[0] != first[0]:
            yield kit.draft("plain" if filled is first else "entity_swap", spot, filled[0], True, pair)
        if pair:
            yield kit.draft(by if filled is first else "entity_swap_benign", spot, filled[1], False, pair)


def _framed(kit: Kit, spot: Spot, seed: str) -> Iterator[Draft | Skip]:
    """The text put to a use, and beside it the same text as the writer's own, which violates in any case."""
    if not kit.frames:
        yield Skip("endorsed", spot.category, f"no frames for the language {kit.language!r}; add `frames` to a --cases file")
    for functionality, frames in kit.frames.items():
        side = kit.uses.get(functionality)
        for frame in frames:
            use, own = (f.replace("{text}", seed) for f in (frame.use, frame.own))
            pair = f"{use}\n{own}" if side == "benign" else None
            yield kit.draft("endorsed", spot, own, True, pair)
            yield kit.draft(functionality, spot, use, side == "violating", pair) if side else _undecided(functionality, spot)


def _misspelt(kit: Kit, spot: Spot, seed: str) -> Iterator[Draft | Skip]:
    for name in kit.operators if kit.operators is not None else registry.names("operator"):
        functionality, number = f"spelling_{name}", kit.seed
        part: type[Operator] = registry.find("operator", name)
        if part.family not in FAMILIES:
            if kit.operators is not None:
                yield Skip(functionality, spot.category, "the operator adds text instead of changing words")
            continue
        if part.language not in (None, kit.language.split("-")[0].lower()):
            yield Skip(functionality, spot.category, f"the operator does not know the language {kit.language!r}")
            continue
        try:
            operator: Operator = registry.make("operator", name)
        except MissingExtra as missing:
            yield Skip(functionality, spot.category, str(missing))
            continue
        operator.payload = kit.payload
        text = operator.apply(seed, strength=STRENGTH, rng=Random(digest(number, name, seed)))
        if text == seed:
            yield Skip(functionality, spot.category, "the operator finds nothing to change in the text")
            continue
        yield Draft(
            functionality=functionality, spot=spot, text=text, violating=True, language=kit.language,
            steps=(Step(name, STRENGTH, number),),
        )  # fmt: skip


def _used(kit: Kit, spot: Spot, terms: tuple[str, ...]) -> Iterator[Draft | Skip]:
    """A term asked about, as a name, reclaimed: a use of a word, and not of a whole text."""
    for term in terms:
        if not any(kit.of_terms.values()):
            yield Skip(
                "mention", spot.category, f"no frames for the language {kit.language!r}; add `mentions` to a --cases file"
            )
        for use, frames in kit.of_terms.items():
            side = kit.uses.get(use)
            for frame in frames:
                text = frame.replace("{term}", term)
                yield kit.draft(use, spot, text, side == "violating") if side else _undecided(use, spot)


def _undecided(functionality: str, spot: Spot) -> Skip:
    return Skip(
        functionality, spot.category, "the policy decides: its `uses`, or those of a --cases file, say benign or violating"
    )
