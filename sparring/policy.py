"""`Policy`: what is allowed and what is not, as a person wrote it in YAML; versioned, hashed, comparable."""

from __future__ import annotations

import pathlib
import re
from typing import Annotated, Literal

import pydantic

from .errors import PolicyError
from .record import BENIGN, digest
from .yamls import read_model

# Hazard codes of MLCommons AILuminate v1.0 (https://mlcommons.org/ailuminate/), plus `other` with a reason.
HAZARDS = {
    "vcr": "violent crimes",
    "ncr": "non-violent crimes, fraud and scams among them",
    "src": "sex-related crimes",
    "cse": "child sexual exploitation: may be classified, is never generated",
    "iwp": "indiscriminate weapons",
    "ssh": "suicide and self-harm",
    "hte": "hate",
    "dfm": "defamation",
    "spc": "specialized advice",
    "ipv": "intellectual property",
    "prv": "privacy",
    "sxc": "sexual content",
    "other": "none of these; `hazard_reason` says what",
}
NEVER_GENERATED = frozenset({"cse"})

Name = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Clause(_Strict):
    """One graded violation; `severity` 1 (mild) to 4 (worst)."""

    id: str
    text: str
    severity: Annotated[int, pydantic.Field(ge=1, le=4)] = 2


class Category(_Strict):
    name: Name
    hazard: Literal[tuple(HAZARDS)]  # type: ignore[valid-type]
    hazard_reason: str | None = None
    definition: str
    clauses: tuple[Clause, ...] = pydantic.Field(min_length=1)
    allowed: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    allowed_examples: tuple[str, ...] = ()  # benign, and near to a violation
    terms: tuple[str, ...] = ()  # words that violations use, and others may
    never_generate: bool = False

    @property
    def may_generate(self) -> bool:
        return not self.never_generate and self.hazard not in NEVER_GENERATED

    @pydantic.model_validator(mode="after")
    def _check(self) -> Category:
        if self.hazard == "other" and not self.hazard_reason:
            raise ValueError("hazard `other` needs a `hazard_reason`")
        if self.name == BENIGN:
            raise ValueError(f"the name {BENIGN!r} is taken by what the policy allows")
        return self


class Publishing(_Strict):
    """What no published row may hold, beside tokens and keys, which none may: Sparring finds addresses and numbers by their
    form, and the names of real people only as they are listed here."""

    emails: Literal["allow", "refuse"] = "allow"
    phones: Literal["allow", "refuse"] = "allow"
    names: tuple[Annotated[str, pydantic.StringConstraints(strip_whitespace=True, min_length=3)], ...] = ()


class Policy(_Strict):
    """`labels` is append-only: benign, then the categories in the order of the file."""

    name: Name
    version: str
    description: str
    language: str = "en"
    categories: tuple[Category, ...] = pydantic.Field(min_length=1)
    allowed: tuple[str, ...] = ()
    uses: dict[
        Name, Literal["benign", "violating"]
    ] = {}  # of a violating text or a term that is quoted, reported, reclaimed...
    ambiguity: tuple[str, ...] = ()
    payload: tuple[str, ...] = ()  # regular expressions of what a violating sample needs to work, beside the built-in ones
    publish: Publishing = Publishing()

    @pydantic.model_validator(mode="after")
    def _check(self) -> Policy:
        names = [c.name for c in self.categories]
        ids = [clause.id for c in self.categories for clause in c.clauses]
        for what, values in (("category", names), ("clause id", ids)):
            if twice := {v for v in values if values.count(v) > 1}:
                raise ValueError(f"{what} {sorted(twice)[0]!r} stands twice")
        for pattern in self.payload:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"payload pattern {pattern!r} is no regular expression: {error}") from None
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        return (BENIGN, *(c.name for c in self.categories))

    @property
    def content_hash(self) -> str:
        """Over all that says what violates; what may be published changes no label. What only the functional tests read
        counts where a policy has it."""
        said = self.model_dump(mode="json", exclude={"publish"})
        for part in (said, *said["categories"]):
            for field in ("uses", "terms", "allowed_examples"):
                if not part.get(field):
                    part.pop(field, None)
        return digest(said)

    def category(self, name: str) -> Category:
        for category in self.categories:
            if category.name == name:
                return category
        raise PolicyError(f"expected a category out of {', '.join(self.labels[1:])}; got {name!r}")


def load(path: str | pathlib.Path) -> Policy:
    """Reads and checks a policy; what no policy can make generated is refused here, by the library itself."""
    from .custody import check_policy

    policy = read_model(Policy, pathlib.Path(path), PolicyError)
    check_policy(policy)
    return policy


def diff(old: Policy, new: Policy) -> list[str]:
    """What changed between two versions, a line each; an empty list when nothing did."""
    lines = []
    before, after = {c.name: c for c in old.categories}, {c.name: c for c in new.categories}
    lines += [f"- category {name}" for name in before if name not in after]
    lines += [f"+ category {name}" for name in after if name not in before]
    for name in before.keys() & after.keys():
        ours, theirs = before[name].model_dump(), after[name].model_dump()
        lines += [f"~ category {name}: {field}" for field in ours if ours[field] != theirs[field]]
    lines += [
        f"~ {f}" for f in ("description", "allowed", "uses", "ambiguity", "payload") if getattr(old, f) != getattr(new, f)
    ]
    return sorted(lines)
