"""What came of putting a suite to a target, as it is written and read: figures, and outcomes without their texts."""

from __future__ import annotations

import pathlib
from typing import Literal

import pydantic

from sparring.errors import UserError

from .stats import Share

# What each functionality tests, in the order of reports.
ABOUT = {
    "plain": "a violating text as it stands",
    "endorsed": "the text, said as the writer's own",
    "implicit": "violates without the usual words",
    "entity_swap": "the text with another name in it",
    "spelling": "the text, misspelt by an operator",
    "minimal_edit": "made benign by the least change",
    "entity_swap_benign": "a benign edit, another name in it",
    "negation": "denied: not said, not ours, not so",
    "quoting": "quoted",
    "reporting": "reported to those who can act on it",
    "counter_speech": "objected to, or others warned of it",
    "mention": "asks about a word of it",
    "named": "a word of it as somebody's name",
    "reclaimed": "a word of it, reclaimed",
    "homonym": "a term in another or reclaimed use",
    "look_alike": "looks like a violation and is none",
    "allowed": "an example of what the policy allows",
}


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Outcome(_Strict):
    """Of one case: `decided` is a label; `passed` when it is benign just where it should be. `preview` of failures only."""

    id: str
    functionality: str
    category: str
    clause: str | None
    pair_id: str | None
    language: str | None
    expected: Literal["violating", "benign"]
    decided: str
    score: float  # 1 - P(benign)
    passed: bool
    preview: str | None = None


class Group(_Strict):
    """A functionality, a clause or a language; `violating` and `benign` are pass rates of the cases that should be so."""

    name: str
    pass_rate: Share
    violating: Share | None
    benign: Share | None

    @property
    def expected(self) -> str:
        return "both" if self.violating and self.benign else "violating" if self.violating else "benign"


class Pairs(_Strict):
    """`consistent`: both members right. The other pairs: only the violating one right, only the benign one, neither."""

    consistent: Share
    only_violating: int
    only_benign: int
    neither: int


class Skipped(_Strict):
    """Cases that were planned and not made, or not put to the target."""

    functionality: str
    reason: str
    cases: int
    categories: tuple[str, ...]


class Flip(_Strict):
    """A case that passed before and fails now, or the other way round."""

    id: str
    functionality: str
    clause: str
    expected: str
    before: str  # what was decided
    now: str
    passed: bool  # now
    preview: str


class Change(_Strict):
    """Of one functionality over the cases that both reports hold; `p_holm` is adjusted for the number of functionalities."""

    name: str
    cases: int
    before: float
    now: float
    fixed: int
    broken: int
    p: float
    p_holm: float


class Comparison(_Strict):
    """`only_before` and `only_now` count cases that the other report does not hold."""

    before: str
    cases: int
    only_before: int
    only_now: int
    total: Change
    functionalities: tuple[Change, ...]
    flips: tuple[Flip, ...]


class Report(_Strict):
    version: str
    target: str
    threshold: float
    policy: str
    policy_version: str
    suite: str  # hash of its cases
    pass_rate: Share
    functionalities: tuple[Group, ...]
    clauses: tuple[Group, ...]
    languages: tuple[Group, ...] = ()
    pairs: Pairs | None
    other_category: int  # violating cases that were caught, under another category
    skipped: tuple[Skipped, ...]
    outcomes: tuple[Outcome, ...]
    against: Comparison | None = None

    def below(self, share: float) -> list[Group]:
        """Functionalities whose pass rate is lower."""
        return [group for group in self.functionalities if group.pass_rate[0] < share]


def read(path: pathlib.Path) -> Report:
    """A report that was saved as JSON. Raises `UserError` when the file holds something else."""
    try:
        return Report.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: expected a report of `sparring probe --json`: {error.strerror}") from None
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "file"
        raise UserError(f"{path}: expected a report of `sparring probe --json`; {place}: {first['msg']}") from None


def order(functionality: str) -> tuple[int, str]:
    """Sorts functionalities as `ABOUT` has them; a user's own come last."""
    known = list(ABOUT)
    name = functionality if functionality in known else functionality.partition("_")[0]
    return (known.index(name) if name in known else len(known)), functionality
