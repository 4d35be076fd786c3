"""Models that are asked about rows: the user's classifier for its scores, and how often disguises turn them; a guard for its
verdict on rows in dispute."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sparring import engines, registry
from sparring.engines.work import Scoring
from sparring.errors import DataError, UserError
from sparring.policy import Policy
from sparring.protocols import Target, probabilities, violation
from sparring.targets.base import BaseTarget

from ..hard import Scores, flip_rate
from ..labels import verdict_view
from ..labels.issues import LabelIssues
from ..probe import command as probe
from .read import Rows

ROWS = 1024  # that a target is shown at once
PERTURBED = ("homoglyph", "leet", "punctuation", "spacing", "typo", "zero_width")  # disguises after which a label stands
DISGUISED = 500  # rows whose disguises are scored, the hardest first


def target_at(place: pathlib.Path) -> BaseTarget:
    """A job file's target as of its last promotion, or the one saved to a folder inside a run."""
    of = probe.of_job if place.suffix in (".yaml", ".yml") else lambda folder: probe.of_folder(folder, None)
    return probe.load(of(place))


def guard_at(path: pathlib.Path, rules: Policy | None) -> BaseTarget:
    """A guard by a file of its settings, those of the target `llm_guard`: at least `verdicts`, the model that is asked."""
    import yaml

    from sparring.targets.llm_guard import LlmGuard

    if rules is None:
        raise UserError(f"{path}: expected a policy, for a guard to judge by. Fix: --policy POLICY.yaml")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path}: expected a YAML file of a guard's settings; {error}. Fix: check the path") from None
    if not isinstance(settings, dict):
        raise UserError(f"{path}: expected settings by name, verdicts: {{kind: ...}}; got {type(settings).__name__}")
    return LlmGuard(**settings).under(rules)


def scored(rows: Rows, target: Target) -> Rows:
    """With the target's scores, where the user has given none; NaN where it failed."""
    texts = _texts(rows)
    if set(target.labels) != set(rows.names):
        raise DataError(
            f"expected a target of the labels {', '.join(rows.names) or 'of the data, of which none are given'}; "
            f"it has {', '.join(target.labels)}. Fix: --rename, once for each label"
        )
    if rows.scores is not None:
        return rows
    order = [target.labels.index(name) for name in rows.names]
    pieces = (texts[at : at + ROWS] for at in range(0, len(rows), ROWS))
    said = list(engines.in_order(engines.beside(target).each(Scoring(target), pieces)))
    return replace(rows, scores=np.concatenate(said)[:, order] if said else np.zeros((0, len(order)), np.float32))


def flips(rows: Rows, target: Target, hardness: np.ndarray, *, threshold: float, seed: int) -> np.ndarray:
    """(n,) flip rates of the `DISGUISED` hardest labelled rows, NaN of all others."""
    texts, out = _texts(rows), np.full(len(rows), np.nan, np.float32)
    chosen = np.argsort(np.where(rows.labels >= 0, -np.nan_to_num(hardness, nan=-1), np.inf), kind="stable")
    chosen = np.sort(chosen[rows.labels[chosen] >= 0][:DISGUISED])
    benign = list(target.labels).index(rows.names[rows.benign or 0])
    score: Scores = lambda some: violation(probabilities(target, some, failed_ok=True)[:, [benign]])  # noqa: E731
    operators = {name: registry.make("operator", name) for name in PERTURBED}
    out[chosen] = flip_rate([texts[i] for i in chosen.tolist()], score, operators, threshold=threshold, seed=seed)
    return out


def judged(rows: Rows, guard: Target, found: LabelIssues, *, seed: int) -> verdict_view.VerdictView:
    """The guard's view of the rows that the cheap views dispute."""
    if tuple(guard.labels) != rows.names:
        raise DataError(
            f"expected a guard of the labels {', '.join(rows.names)}, in that order; it has {', '.join(guard.labels)}. "
            "Fix: --policy, and --rename once for each label"
        )
    return verdict_view.ask(guard, _texts(rows), rows.labels, found.views, seed=seed)


def _texts(rows: Rows) -> Sequence[str]:
    if rows.texts is None:
        raise DataError(
            "expected texts for a model to judge; found none. Fix: --text COLUMN, or leave --target and --guard out"
        )
    return rows.texts
