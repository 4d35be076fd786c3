"""The suite: every case with its label, and every case that was planned and could not be had, with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sparring.custody import is_prohibited
from sparring.errors import UserError
from sparring.policy import NEVER_GENERATED, Category, Policy
from sparring.record import BENIGN, Generator, Record, digest, synthetic
from sparring.text import canonical

from .makers import Draft, Kit, Skip, Spot, from_texts, in_frames, own_case
from .material import Frame, Material, Side, Texts, shipped


@dataclass(frozen=True, slots=True)
class Case:
    """One test. Its record's label is what the target must decide: benign, or not."""

    functionality: str
    category: str
    record: Record

    @property
    def expected(self) -> Side:
        return "benign" if self.record.label_name == BENIGN else "violating"


@dataclass(frozen=True, slots=True)
class Suite:
    cases: tuple[Case, ...]
    skipped: tuple[Skip, ...]

    @property
    def content_hash(self) -> str:
        """The same for the same set of cases."""
        return digest(sorted(case.record.id for case in self.cases))


def build(
    policy: Policy, materials: Sequence[Material] = (), *,
    labels: Sequence[str] | None = None, seed: int = 0, limit: int | None = None, languages: Sequence[str] = (),
) -> Suite:  # fmt: skip
    """The suite of a policy and of the user's `materials`; the same arguments give the same cases.

    `languages` put the texts of all materials in the frames of these languages too, beside the frames of their own.
    `labels` are the target's: a category that it does not know is skipped. `limit` is the most seed texts of a clause
    in one material. Raises `UserError` when two materials, or two cases of one text, contradict each other.
    """
    own = _of(policy)
    uses = _uses((own, *materials))
    kits = [(m, _kit(policy, m, materials, uses, seed=seed, limit=limit, number=i)) for i, m in enumerate((own, *materials))]
    drafts: list[Draft | Skip] = []
    for category in policy.categories:
        spots = [Spot(category.name), *(Spot(category.name, clause.id, clause.severity) for clause in category.clauses)]
        if reason := _kept_out(category, labels):
            drafts.append(Skip("all", category.name, reason))
        else:
            drafts += _generated(kits, spots)
            drafts += _abroad(policy, kits, spots, languages)
        if not reason or category.never_generate:  # a whole case is the user's own text: nothing is generated
            drafts += [own_case(k, s, case) for m, k in kits for s in spots for case in m.cases if case.clause == s.name]
    return _finish(policy, drafts)


def _generated(kits: Sequence[tuple[Material, Kit]], spots: Sequence[Spot]) -> Iterator[Draft | Skip]:
    seeds = 0
    for material, kit in kits:
        for spot in spots:
            if texts := material.clauses.get(spot.name):
                seeds += len(texts.examples) + len(texts.pairs)
                yield from from_texts(kit, spot, texts)
    if not seeds:
        yield Skip("plain", spots[0].category, "the category has no violating example to start from")


def _abroad(
    policy: Policy, kits: Sequence[tuple[Material, Kit]], spots: Sequence[Spot], languages: Sequence[str]
) -> Iterator[Draft | Skip]:
    """Each material in the frames of each language but its own."""
    materials = [material for material, _ in kits]
    for language in dict.fromkeys(languages):
        for material, kit in kits:
            if _base(language) == _base(kit.language):
                continue
            frames, of_terms = _frames(policy, language, materials)
            there = replace(kit, language=language, frames=frames, of_terms=of_terms)
            for spot in spots:
                if texts := material.clauses.get(spot.name):
                    yield from in_frames(there, spot, texts)


def _of(policy: Policy) -> Material:
    """What the policy itself gives: examples, terms, what it allows, and its word on uses. A brace in them is no slot."""
    clauses = {
        c.name: Texts.model_construct(examples=c.examples, terms=c.terms, allowed=c.allowed_examples) for c in policy.categories
    }
    return Material.model_construct(clauses=clauses, uses=policy.uses)


def _kept_out(category: Category, labels: Sequence[str] | None) -> str | None:
    if category.hazard in NEVER_GENERATED or category.never_generate:
        return "nothing is generated for this category"
    if labels is not None and category.name not in labels:
        return "the target does not know this category"
    return None


def _uses(materials: Sequence[Material]) -> dict[str, Side]:
    uses: dict[str, Side] = {}
    for material in materials:
        for name, side in material.uses.items():
            if uses.setdefault(name, side) != side:
                raise UserError(f"`uses` of two files disagree on {name!r}: {uses[name]} and {side}. Fix: say it once")
    return uses


def _kit(
    policy: Policy, material: Material, materials: Sequence[Material], uses: dict[str, Side], *,
    seed: int, limit: int | None, number: int,
) -> Kit:  # fmt: skip
    """What the makers need for a material: the frames of its language, shipped and the user's own."""
    language = material.language or policy.language
    frames, of_terms = _frames(policy, language, materials)
    chosen = [m.operators for m in materials if m.operators is not None]
    return Kit(
        language=language, uses=uses, slots=material.slots, frames=frames,
        of_terms=of_terms,
        operators=tuple(dict.fromkeys(name for names in chosen for name in names)) if chosen else None,
        payload=policy.payload, seed=seed, limit=limit, number=number,
    )  # fmt: skip


def _frames(
    policy: Policy, language: str, materials: Sequence[Material]
) -> tuple[dict[str, tuple[Frame, ...]], dict[str, tuple[str, ...]]]:
    """Of a language: those of texts and those of terms by use, shipped and the user's own."""
    same = [m for m in materials if _base(m.language or policy.language) == _base(language)]
    sources = [source for source in (shipped(language), *same) if source]
    frames = {name: tuple(f for s in sources for f in s.frames.get(name, ())) for s in sources for name in s.frames}
    of_terms = {name: tuple(f for s in sources for f in s.of_terms.get(name, ())) for s in sources for name in s.of_terms}
    return frames, of_terms


def _base(language: str) -> str:
    """The first part of a BCP 47 tag, which decides the frames."""
    return language.split("-")[0].lower()


def _finish(policy: Policy, drafts: Iterable[Draft | Skip]) -> Suite:
    """Screened, unique by text, no text under two labels; what is not one violating case and one benign is no pair."""
    said = {c.name: f"{c.name}: {c.definition}" for c in policy.categories}
    cases: list[Case] = []
    skipped: list[Skip] = []
    labels: dict[str, Draft] = {}
    texts: set[str] = set()
    for draft in drafts:
        if isinstance(draft, Skip):
            skipped.append(draft)
            continue
        before = labels.setdefault(canonical(draft.text), draft)
        if before.violating != draft.violating:
            raise UserError(
                f"expected one label for a text; a case of {before.functionality!r} ({before.spot.name}) and one of "
                f"{draft.functionality!r} ({draft.spot.name}) have the same text and two. Fix: remove one"
            )
        if draft.text in texts:
            skipped.append(Skip(draft.functionality, draft.spot.category, "the same text as another case"))
        elif is_prohibited(draft.text, said[draft.spot.category]):
            skipped.append(Skip(draft.functionality, draft.spot.category, "refused by the custody screen"))
        else:
            texts.add(draft.text)
            cases.append(Case(draft.functionality, draft.spot.category, _record(policy, draft)))
    sides = Counter((case.record.pair_id, case.expected) for case in cases)
    whole = {pair for pair, _ in sides if sides[pair, "violating"] == sides[pair, "benign"] == 1}
    kept = [c if c.record.pair_id in whole else replace(c, record=replace(c.record, pair_id=None)) for c in cases]
    return Suite(tuple(kept), tuple(skipped))


def _record(policy: Policy, draft: Draft) -> Record:
    label = draft.spot.category if draft.violating else BENIGN
    return synthetic(
        work={"probe": draft.functionality, "text": draft.text, "label": label, "policy": policy.name, "spot": draft.spot.name},
        text=draft.text, language=draft.language, label_name=label, clause=draft.spot.clause, severity=draft.spot.severity,
        policy=policy.name, policy_version=policy.version, pair_id=draft.pair and f"p{digest(draft.pair)}",
        generator=Generator(name=f"probe {draft.functionality}"), operators=draft.steps, split="test",
    )  # fmt: skip
