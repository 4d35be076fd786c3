"""What cases are made from beside the policy's own examples: frames of a language, and a user's file of texts by clause."""

from __future__ import annotations

import difflib
import pathlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Literal

import pydantic

from sparring.custody import check_text
from sparring.errors import ProhibitedContent, UserError
from sparring.policy import NEVER_GENERATED, Name, Policy
from sparring.yamls import read_model

Text = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=10_000, strip_whitespace=True)]
Side = Literal["violating", "benign"]
SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Frame(_Strict):
    """`use` speaks about a text; `own`, as near to it as can be, says the text as the writer's own."""

    use: Text
    own: Text

    @pydantic.field_validator("use", "own")
    @classmethod
    def _holds_text(cls, value: str) -> str:
        if value.count("{text}") != 1:
            raise ValueError("expected {text} once in a frame")
        return value


class Pair(_Strict):
    """A violating text and the least change that makes it benign; `by` names the change, a functionality."""

    violating: Text
    benign: Text
    by: Name = "minimal_edit"


class Texts(_Strict):
    """Of one clause, or of a category by its name."""

    terms: tuple[Text, ...] = ()
    examples: tuple[Text, ...] = ()  # violating
    pairs: tuple[Pair, ...] = ()
    implicit: tuple[Text, ...] = ()  # violating
    homonyms: tuple[Text, ...] = ()  # benign, as are look-alikes and what is allowed
    look_alikes: tuple[Text, ...] = ()
    allowed: tuple[Text, ...] = ()

    def texts(self) -> Iterator[str]:
        yield from (*self.terms, *self.examples, *self.implicit, *self.homonyms, *self.look_alikes, *self.allowed)
        yield from (text for pair in self.pairs for text in (pair.violating, pair.benign))


class OwnCase(_Strict):
    """A whole case. `expect: policy` takes what `uses` says of the functionality. Two cases of a `pair` stand together."""

    functionality: Name
    text: Text
    expect: Literal["violating", "benign", "policy"]
    clause: str  # or a category's name
    pair: str | None = None
    language: str | None = None


class Material(_Strict):
    """A file of test material. `uses`: whether the policy calls a violating text benign when it is put to that use."""

    language: str | None = None  # None: the policy's
    uses: dict[Name, Side] = {}
    operators: tuple[str, ...] | None = None  # of the spelling variants; None: all that are registered
    slots: dict[Name, Annotated[tuple[Text, ...], pydantic.Field(min_length=1)]] = {}
    clauses: dict[str, Texts] = {}
    frames: dict[Name, tuple[Frame, ...]] = {}
    mentions: tuple[Text, ...] = ()  # frames of a {term}
    term_uses: dict[Name, tuple[Text, ...]] = {}  # the same, of other uses: as a name, reclaimed
    cases: tuple[OwnCase, ...] = ()

    @pydantic.model_validator(mode="after")
    def _holds_term(self) -> Material:
        for use, frames in self.of_terms.items():
            if any(frame.count("{term}") != 1 for frame in frames):
                raise ValueError(f"expected {{term}} once in each frame of `{'mentions' if use == 'mention' else use}`")
        return self

    @property
    def of_terms(self) -> dict[str, tuple[str, ...]]:
        """What a term may be put to: frames by use."""
        return {"mention": self.mentions, **self.term_uses}

    def texts(self) -> Iterator[str]:
        yield from (text for texts in self.clauses.values() for text in texts.texts())
        yield from (case.text for case in self.cases)
        yield from (value for values in self.slots.values() for value in values)
        yield from (text for frames in self.frames.values() for frame in frames for text in (frame.use, frame.own))
        yield from (frame for frames in self.of_terms.values() for frame in frames)


def load(path: pathlib.Path, policy: Policy) -> Material:
    """Reads a user's file. Raises `UserError` for a clause or slot that is not there, and for faults of the file;
    `ProhibitedContent` for what is never handled."""
    material = read_model(Material, path, UserError)
    categories = {c.name: c for c in policy.categories} | {k.id: c for c in policy.categories for k in c.clauses}
    for place in (*material.clauses, *(case.clause for case in material.cases)):
        if place not in categories:
            near = difflib.get_close_matches(place, categories, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(categories)}"
            raise UserError(f"{path}: expected a clause or category of the policy {policy.name!r}, got {place!r}; {hint}")
        if categories[place].hazard in NEVER_GENERATED:
            raise ProhibitedContent(f"{path}: expected no texts for {place!r}, a category of hazard `cse`. Fix: remove them")
    for text in (text for texts in material.clauses.values() for text in texts.texts()):
        for slot in SLOT.findall(text):
            if slot not in material.slots:
                known = ", ".join(material.slots) or "none is there"
                raise UserError(f"{path}: expected a slot that `slots` lists ({known}), got {{{slot}}}. Fix: add it")
    pairs = Counter(case.pair for case in material.cases if case.pair is not None)
    for pair, n in pairs.items():
        if n != 2:
            raise UserError(f"{path}: expected two of `cases` with the pair {pair!r}, found {n}")
    for text in material.texts():
        check_text(text)
    return material


@cache
def shipped(language: str) -> Material | None:
    """The frames of a language (BCP 47; its first part counts), None where there are none."""
    path = resources.files(__package__).joinpath("frames", f"{language.split('-')[0].lower()}.yaml")
    with resources.as_file(path) as file:
        return read_model(Material, file, UserError) if file.is_file() else None


def languages() -> list[str]:
    """Languages whose frames are shipped."""
    folder = resources.files(__package__).joinpath("frames")
    return sorted(path.name.removesuffix(".yaml") for path in folder.iterdir() if path.name.endswith(".yaml"))


def fillings(templates: tuple[str, ...], slots: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The templates with the first value of each slot, then with one slot at a time at each of its other values."""
    used = dict.fromkeys(slot for template in templates for slot in SLOT.findall(template) if slot in slots)
    first = {slot: slots[slot][0] for slot in used}
    chosen = [first] + [first | {slot: value} for slot in used for value in slots[slot][1:]]
    return [tuple(_filled(template, values) for template in templates) for values in chosen]


def _filled(template: str, values: Mapping[str, str]) -> str:
    return SLOT.sub(lambda slot: values.get(slot[1], slot[0]), template)
