"""Everything that mining knows of a data set, in one go: each part on arrays, rows in the order of their ids."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparring import engines, registry
from sparring.embed import unit
from sparring.engines.work import encoded
from sparring.errors import DataError
from sparring.protocols import Target, decided
from sparring.spool import Spool
from sparring.stored import Stored

from .. import hard, pool, slices
from ..duplicates import removal
from ..duplicates.removal import Removal
from ..labels import issues, verdicts, views, worth
from ..labels.issues import LabelIssues
from ..labels.verdicts import Verdicts
from ..labels.views import Views
from ..selection.base import Pool
from ..selection.select import Selection, select
from . import asked, crowd, near, table
from .crowd import Crowd
from .near import Near
from .read import Rows
from .result import Curve, MiningResult, Slice

Told = Callable[[str], None]
WORTH_MOST = 50_000  # rows up to which a review's worth is played through
NEGATIVES = 200  # benign look-alikes that are ranked
NEAR_PIXELS = 0.985  # cosine of grey pictures: at 0.95 half of all handwritten digits have a "duplicate"
# Labelled rows below which verdicts do not rest on the estimate of the noise: from some fifty flips its share of even noise
# comes out anywhere between 0.4 and 0.9 as the folds fall (docs/design/label_issues.md, "Where it is unsteady"), and with it
# the threshold of a flag. There a label is suspect when the views' mean and most views reject it, as `verdicts.judge` says.
FEW = 1000


@dataclass(frozen=True, slots=True)
class Settings:
    """`budget`: rows to label next, a share `audit` of them at random; `queue`: rows of a queue at most, of all
    queues or by label; `rare`: the label of
    which there is too little; `threshold`: where the target decides that a row is not benign; `plantings`: how often the worth
    of a review is played through under each noise, 0 for not at all."""

    budget: int = 100
    audit: float = 0.1
    strategy: str = "mixed"
    queue: int | Mapping[str, int] | None = None
    rare: str | None = None
    threshold: float = 0.5
    near_text: float = 0.7
    near_cosine: float = 0.95
    plantings: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What the parts say, before it is put into a table."""

    rows: Rows
    vectors: np.ndarray
    near: Near
    issues: LabelIssues | None
    verdicts: Verdicts
    removal: Removal
    hardness: np.ndarray
    negatives: np.ndarray
    selection: Selection
    crowd: Crowd | None = None


def embedded(rows: Rows, embedder: str, cache: pathlib.Path | None = None) -> tuple[np.ndarray, str]:
    """(n, d) unit vectors of the rows and whose they are: the user's own, or those of a registered embedder.

    `cache` keeps vectors of texts by model and content. Raises `DataError` for rows with nothing to embed.
    """
    if rows.vectors is not None:
        if not np.isfinite(rows.vectors).all():
            bad = int((~np.isfinite(rows.vectors).all(1)).sum())
            raise DataError(f"expected vectors of finite numbers, got NaN or infinity in {bad} rows. Fix: embed them again")
        if len(rows) and (zero := int((~rows.vectors.any(1)).sum())):
            raise DataError(f"expected vectors with a direction, got zeros alone in {zero} rows. Fix: embed them again")
        return unit(rows.vectors), "given"
    if rows.images is not None:
        made = registry.make("image_embedder", embedder if embedder in registry.names("image_embedder") else "pixels")
        return encoded(engines.current(), made, rows.images), made.name
    if rows.texts is None:
        raise DataError("expected vectors for rows without texts or images. Fix: --vectors FILE.npy")
    model = registry.make("embedder", embedder)
    vectors = Stored(model, cache).encode(rows.texts) if cache else encoded(engines.current(), model, rows.texts)
    return vectors, model.name


def _queue(most: int | Mapping[str, int] | None, names: Sequence[str]) -> int | dict[int, int] | None:
    """The same by the labels' numbers."""
    if not isinstance(most, Mapping):
        return most
    if unknown := sorted(set(most).difference(names)):
        raise DataError(f"expected queues of {', '.join(names)}; got {unknown[0]!r}. Fix: --queue LABEL=ROWS")
    return {names.index(name): rows for name, rows in most.items()}


def mine(
    rows: Rows, *, embedder: str = "minilm", settings: Settings | None = None, cache: pathlib.Path | None = None,
    target: Target | None = None, guard: Target | None = None, told: Told = lambda what: None,
) -> MiningResult:  # fmt: skip
    """Duplicates, label issues, verdicts, hardness, slices, what to label next and what a review is worth.

    The same rows in another order give the same result. `told` hears what is being done. Without labels, or with one label
    alone, what needs labels is left out and `notes` say so. A `target` gives scores where there are none, and says how often
    disguises turn its decision; a `guard` gives its verdict on rows that the views dispute.
    """
    s = settings or Settings()
    told(f"embedding {len(rows):,} rows")
    vectors, model = embedded(rows, embedder, cache)
    told("near duplicates")
    cosine = max(s.near_cosine, NEAR_PIXELS) if rows.images is not None and rows.vectors is None else s.near_cosine
    close = near.find(vectors, rows.texts, rows.lineage, text=s.near_text, cosine=cosine, seed=s.seed)
    sources = rows.attributes.get("source")
    plan = removal.plan(close.evidence, rows.ids, rows.benign_first, sources=None if sources is None else sources.tolist())
    notes, given = list(close.notes), rows.labels >= 0
    if target is not None:
        told("asking the target")
        rows = asked.scored(rows, target)
    scores, apart = _scores(rows)
    found: LabelIssues | None = None
    if len(np.unique(rows.labels[given])) > 1:
        told("views and label issues")
        extra = {"dynamics": rows.dynamics} if rows.dynamics is not None else {}
        find = functools.partial(
            issues.find, vectors, rows.labels, close.group, seed=s.seed, classes=len(rows.names), scores=scores
        )
        found = find(extra=extra)
        if guard is not None:
            told("asking the guard")
            said_by = asked.judged(rows, guard, found, seed=s.seed)
            notes += [f"the guard is not heard: {said_by.note}"] if said_by.note else []
            found = find(extra={**extra, "guard": said_by.probabilities}) if not said_by.note else found
        notes += found.views.notes
    else:
        notes.append("rows of two labels at least are needed for label issues, hardness and slices: they are left out")
    told("verdicts")
    said = found.views if found else Views((), np.zeros((0, len(rows), max(2, len(rows.names))), np.float32))
    verdict = verdicts.judge(
        said.probabilities, rows.labels, vectors, close.group, pairs=near.pairs(close.evidence), names=said.names,
        found=found if given.sum() >= FEW else None,
        protected=~plan.removed,
    )  # fmt: skip
    turns: dict[str, Any] = {}
    hardness, negatives = np.full(len(rows), np.nan, np.float32), np.zeros(0, np.int64)
    if found:
        hardness = hard.hardness(said.probabilities, rows.labels, vectors).value
        if target is not None:
            turned = asked.flips(rows, target, hardness, threshold=s.threshold, seed=s.seed)
            hardness = hard.hardness(said.probabilities, rows.labels, vectors, flips=turned).value
            turns["share of disguises that turn the target's decision, of the hardest rows"] = _mean(turned)
        if rows.benign is not None:
            violates = None if apart is None else np.nan_to_num(1 - apart[:, rows.benign])
            negatives = hard.hard_negatives(vectors, rows.benign_first, NEGATIVES, scores=violates).rows
    told("slices, and what to label next")
    worse = _slices(rows, vectors, close.group, found, apart, s) if found else ()
    selection, facts, more = _next(rows, vectors, said, apart, s)
    curves, f1, errors, unplayed = _worth(rows, vectors, close.group, found, s, told)
    notes += [f"what a review is worth was not measured: {unplayed}"] if unplayed else []
    people = crowd.heard(rows, found.views if found else None, most=s.budget)
    everything = Found(rows, vectors, close, found, verdict, plan, hardness, negatives, selection, people)
    made = table.made(everything, worse, budget=_queue(s.queue, rows.names))
    facts = {
        "embedder": model,
        "groups of near duplicates": int((np.bincount(close.group) > 1).sum()),
        **close.facts,
        **facts,
        **turns,
        **(people.facts if people else {}),
    }
    if found is not None and apart is None:
        facts["slices are of"] = "the views' own errors, out of fold: no scores of a target were given"
    return MiningResult(
        rows.source, rows.names, made, rows.rejected, tuple(_told(w, rows) for w in worse), curves, f1, errors, facts,
        (*notes, *more, *selection.short),
    )  # fmt: skip


def _scores(rows: Rows) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The target's scores as a view, whose rows sum to 1, and as they came."""
    if rows.scores is None:
        return None, None
    if not rows.names:
        raise DataError("expected labels, in the order of which the scores stand; found none. Fix: --labels COLUMN")
    if rows.scores.shape[1] != len(rows.names):
        raise DataError(
            f"expected scores of {len(rows.names)} labels a row ({', '.join(rows.names)}), in that order; "
            f"got {rows.scores.shape[1]}. Fix: a column of scores for each label"
        )
    silent = np.isnan(rows.scores).all(1)
    kept = rows.scores[~silent]
    if not np.isfinite(kept).all() or (len(kept) and not (kept.min() >= -1e-6 and kept.max() <= 1 + 1e-6)):
        low, high = np.nanmin(kept), np.nanmax(kept)
        raise DataError(
            f"expected scores in [0, 1], NaN in a whole row where there is none; got {low:.3g} to {high:.3g}"
            f"{', NaN in some rows' if np.isnan(kept).any() else ''}. Fix: give probabilities, not logits"
        )
    view = np.full(rows.scores.shape, np.nan, np.float32)
    view[~silent] = views.normalised(np.clip(kept, 0, 1))
    return view, rows.scores


def _slices(
    rows: Rows, vectors: np.ndarray, group: np.ndarray, found: LabelIssues, apart: np.ndarray | None, s: Settings
) -> tuple[slices.Slice, ...]:
    """Of labelled rows whose label is not in doubt: a wrong label is no error of the target."""
    p = found.views.mean if apart is None else apart
    said = p.argmax(1)
    if apart is not None and rows.benign is not None:
        order = np.r_[rows.benign, np.delete(np.arange(p.shape[1]), rows.benign)]
        said = order[decided(p[:, order], s.threshold)]
    kept = np.flatnonzero((rows.labels >= 0) & ~found.flagged & ~np.isnan(p).any(1))
    texts = rows.texts.taken(kept) if isinstance(rows.texts, Spool) else rows.texts and [rows.texts[i] for i in kept.tolist()]
    told = slices.find(
        said[kept] != rows.labels[kept], group[kept], vectors=vectors[kept], texts=texts, seed=s.seed,
        attributes={name: values[kept] for name, values in rows.attributes.items()},
    )  # fmt: skip
    return tuple(replace(t, rows=kept[t.rows]) for t in told)


def _told(found: slices.Slice, rows: Rows) -> Slice:
    return Slice(found.name, len(found.rows), found.rate, found.low, found.high, found.rest, found.p, found.words)


def _next(
    rows: Rows, vectors: np.ndarray, said: Views, apart: np.ndarray | None, s: Settings
) -> tuple[Selection, dict[str, Any], list[str]]:
    """Unlabelled rows where there are any, else rows to look at again; with a target's scores also what the pool is like."""
    open, known = np.flatnonzero(rows.labels < 0), np.flatnonzero(rows.labels >= 0)
    rare = rows.names.index(s.rare) if s.rare in rows.names else None
    facts: dict[str, Any] = {}
    notes: list[str] = []
    if s.rare is not None and rare is None:
        raise DataError(f"expected the rare label out of {', '.join(rows.names)}; got {s.rare!r}. Fix: --rare")
    seen = apart
    if len(open) and len(said.names) and (apart is None or 2 * np.isnan(apart[open]).any(1).sum() > len(open)):
        seen = said.mean
        notes.append("most unlabelled rows have no score of a target: they are judged by the views, out of fold")
    if seen is not None and len(open) and len(known) and rows.benign == 0:
        unscored = np.isnan(seen[known]).any(1)
        held = pool.Labelled(vectors[known[~unscored]], seen[known[~unscored]], rows.labels[known[~unscored]])
        found = pool.examine(
            vectors[open], seen[open], s.threshold, s.budget, labelled=held, rare=rare, strategy=s.strategy, audit=s.audit,
            near=s.near_cosine, seed=s.seed,
        )  # fmt: skip
        facts["near misses"] = [rows.ids[i] for i in open[found.near_misses][:20]]
        if share := found.prevalence:
            facts["prevalence of violations, unlabelled rows"] = _estimate(share.bbse)
            facts["precision at the threshold, unlabelled rows"] = _estimate(share.precision)
        if found.drift.vectors:
            facts["drift, AUC of telling unlabelled from labelled"] = round(found.drift.vectors.auc, 4)
        return found.next.among(open), facts, [*notes, *found.notes]
    p = said.mean if len(said.names) else None
    choice = open if len(open) else known
    inner = Pool(vectors[choice], None if p is None else p[choice], rare=rare if p is not None else None)
    strategy = s.strategy if p is not None else "facility_location"
    if strategy != s.strategy:
        notes.append(f"without labels to learn from, rows are selected by {strategy}")
    chosen = select(inner, s.budget, strategy, audit=s.audit, near=s.near_cosine, seed=s.seed)
    return chosen.among(choice), facts, notes


def _mean(values: np.ndarray) -> float | None:
    return round(float(np.nanmean(values)), 4) if np.isfinite(values).any() else None


def _estimate(found: Any) -> str:
    return f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"


def _worth(
    rows: Rows, vectors: np.ndarray, group: np.ndarray, found: LabelIssues | None, s: Settings, told: Told
) -> tuple[tuple[Curve, ...], dict[str, Any], dict[str, float], str]:
    """Curves, expected F1, expected errors, and why there are none."""
    if found is None or not s.plantings:
        return (), {}, {}, ""
    labelled = np.flatnonzero(rows.labels >= 0)
    if len(labelled) > WORTH_MOST:
        labelled = labelled[:: len(labelled) // WORTH_MOST + 1]
    told("what a review is worth")
    x, y, g = vectors[labelled], rows.labels[labelled], group[labelled]

    def score(labels: np.ndarray) -> np.ndarray:
        again = views.make(x, labels, seed=s.seed, groups=g, classes=len(rows.names))
        return issues.from_views(again, labels, seed=s.seed).score

    try:
        said = worth.worth(y, x, score, groups=g, plantings=s.plantings, benign=rows.benign or 0, seed=s.seed)
    except DataError as error:
        return (), {}, {}, str(error)
    curves = tuple(
        Curve(rows.names[c.queue], c.noise, *(tuple(v.tolist()) for v in (c.reviewed, c.found, c.low, c.high)))
        for c in said.curves
    )
    f1 = {g.noise: (tuple(g.reviewed.tolist()), tuple(g.f1.tolist())) for g in said.gains}
    return curves, f1, {rows.names[label]: round(count, 2) for label, count in said.errors.items()}, ""
