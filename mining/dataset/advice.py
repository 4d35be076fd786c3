"""What the mining report says first: sentences with numbers, each made from the result by a rule of this file."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow.compute as pc
from markupsafe import Markup

from sparring.advice import Advice, say, tell
from sparring.plots import Rate, count, percent, plural

from .result import Curve, MiningResult

FIRST = 100  # rows of a queue whose worth is told first
WORTH = 0.1  # wrong labels found per further row, below which a review no longer pays
SURE = 0.05  # of a slice's corrected p
NOTES = 4  # that are told above; all of them stand at the end


@dataclass(frozen=True, slots=True)
class Worth:
    """Of a queue after `reviewed` rows: wrong labels expected under the least and the most favourable noise."""

    queue: str
    reviewed: int
    least: float
    most: float
    stop: int | None  # rows after which a further one is hardly worth it; None: not within the curve

    @property
    def told(self) -> str:
        low, high = round(self.least), round(self.most)
        return count(low) if low == high else f"{count(low)} to {count(high)}"


def verdict(result: MiningResult) -> list[Markup]:
    """The sentences of the header; the first is the one to remember."""
    n = result.table.num_rows
    if not n:
        return [Markup("No row could be used, so nothing was mined.")]
    found, doubt = result.verdicts, sum(queues(result).values())
    wrong = sum(result.errors.values())
    told = " (about {} of them wrong, by estimate)" if wrong <= doubt else " (some {} labels are wrong in all, by estimate)"
    estimate = say(told, count(round(wrong))) if doubt and wrong >= 0.5 else ""
    text = "Of {}, <strong>{}</strong> {} a label in doubt{} and <strong>{}</strong> can go as near duplicate{}."
    said = [say(text, plural(n, "row"), count(doubt), "has" if doubt == 1 else "have", estimate, count(found["duplicate"]),
                "s"[: found["duplicate"] != 1])]  # fmt: skip
    words = (("hard", "hard but right"), ("novel", "unlike what is labelled"), ("ambiguous", "ambiguous under the labels"))
    said += [say("<strong>{}</strong> {}", count(found[name]), word) for name, word in words if found[name]]
    if worse := [s for s in result.slices if s.p < SURE]:
        said.append(say("<strong>{}</strong> where the classifier is worse than elsewhere", plural(len(worse), "slice")))
    if result.rejected:
        said.append(say("<strong>{}</strong> could not be used", plural(len(result.rejected), "row")))
    return said


def advice(result: MiningResult) -> list[Advice]:
    """The lines of "What to do": what to act on, then what to watch, then what is well."""
    if not result.table.num_rows:
        lines = [tell("act", "notes", "See below why, mend the source, and mine again.")]
    else:
        lines = [found for rule in RULES for found in rule(result)]
    return sorted([*lines, *_notes(result)], key=lambda said: ("act", "watch", "good").index(said.level))


def queues(result: MiningResult) -> dict[str, int]:
    """Rows in doubt by given label, of the labels that have any."""
    said = {entry["values"]: entry["counts"] for entry in result.table["queue"].value_counts().to_pylist()}
    return {label: said[label] for label in dict.fromkeys((*result.labels, *said)) if said.get(label) and label is not None}


def worth(result: MiningResult) -> list[Worth]:
    """Of each queue in which a wrong label is expected at all, what its first rows are worth; the best queue first, by the
    least favourable noise."""
    curves: dict[str, list[Curve]] = {}
    for curve in result.worth:
        if curve.reviewed and max(curve.found) >= 0.5:
            curves.setdefault(curve.queue, []).append(curve)
    told, lengths = [], queues(result)
    for queue, of in curves.items():
        reviewed = min(FIRST, lengths.get(queue, FIRST), *(curve.reviewed[-1] for curve in of))
        found = [at(curve.reviewed, curve.found, reviewed) for curve in of]
        told.append(Worth(queue, reviewed, min(found), max(found), _stop(of)))
    return sorted(told, key=lambda w: (-w.least / max(1, w.reviewed), w.queue))


def at(x: tuple[int, ...], y: tuple[float, ...], where: float) -> float:
    """The curve's value at `where`, straight between its points and from (0, 0); its last value beyond them."""
    before, height = 0.0, 0.0
    for a, b in zip(x, y, strict=True):
        if a >= where:
            return height + (b - height) * ((where - before) / (a - before) if a > before else 1.0)
        before, height = a, b
    return height


def _stop(curves: list[Curve]) -> int | None:
    """The first point after which no noise promises `WORTH` finds a row."""
    points = sorted({x for curve in curves for x in curve.reviewed})
    for here, there in itertools.pairwise(points):
        gains = [at(c.reviewed, c.found, there) - at(c.reviewed, c.found, here) for c in curves]
        if max(gains) < WORTH * (there - here):
            return here
    return None


def _review(result: MiningResult) -> Iterator[Advice]:
    doubts, known = queues(result), worth(result)
    if not doubts:
        yield tell("good", "verdicts", "No label is in doubt.")
        return
    for place, w in enumerate([w for w in known if w.queue in doubts and w.most >= 1][:3]):
        start = "Review the rows given <strong>{}</strong> first" if not place else "Then those given <strong>{}</strong>"
        n, of = doubts[w.queue], say(" of {}", count(doubts[w.queue]))
        which = say("{} in doubt", count(n)) if w.reviewed >= n else say("first {}{}", count(w.reviewed), of)
        text = start + ": among the {} expect <strong>{}</strong> wrong labels{}."
        stop = say("; after {} hardly one row in ten is wrong, so stop there", count(w.stop)) if w.stop and w.stop < n else ""
        yield tell("act", "worth", text, w.queue, which, w.told, stop)
    if not known:
        first = max(doubts, key=lambda q: (result.errors.get(q, 0.0), doubts[q], q))
        about = say(", about {} of them wrong", count(round(result.errors[first]))) if first in result.errors else ""
        text = "Review the rows given <strong>{}</strong> first: {} in doubt{}. What a review is worth was not measured."
        yield tell("act", "queues", text, first, count(doubts[first]), about)
    if gains := {noise: (x, y) for noise, (x, y) in result.f1.items() if len(y) > 1}:
        reach = [y[-1] - y[0] for _, y in gains.values()]
        reviewed = max(x[-1] for x, _ in gains.values())
        told = " to ".join(dict.fromkeys(f"{gain:.3f}" for gain in (min(reach), max(reach))))
        if max(reach) >= 0.001:
            yield tell("watch", "worth", "Reviewing {} is expected to raise F1 by {}.", plural(reviewed, "row"), told)
        else:
            yield tell(
                "watch", "worth", "A review is not expected to raise F1 by even 0.001: the labels are good enough for it."
            )


def _relabel(result: MiningResult) -> Iterator[Advice]:
    rows = _rows(result, "mislabelled", "label", "suggested_label")
    if not rows:
        return
    ways = Counter((r["label"], r["suggested_label"]) for r in rows if r["suggested_label"] is not None)
    most = say(", most often from <strong>{}</strong> to <strong>{}</strong> ({})", *ways.most_common(1)[0][0],
               ways.most_common(1)[0][1]) if ways else ""  # fmt: skip
    text = "Relabel {} called mislabelled{}: a person confirms each, no suggestion is taken as it is."
    yield tell("act", "queues", text, plural(len(rows), "row"), most)


def _upweight(result: MiningResult) -> Iterator[Advice]:
    if n := result.verdicts["hard"]:
        text = "Keep {} and give {} more weight: the label is right, the place difficult. Cleaning would take {} first."
        it = "it" if n == 1 else "them"
        yield tell("watch", "hard", text, plural(n, "hard row"), it, it)
    near = pc.sum(pc.is_valid(result.table["hard_negative_rank"])).as_py() or 0
    if near:
        text = "Train on the {} that look most like violations and are none: they are where over-blocking starts."
        yield tell("watch", "hard", text, plural(near, "row"))


def _escalate(result: MiningResult) -> Iterator[Advice]:
    if n := result.verdicts["ambiguous"]:
        text = "Escalate {}: the labels do not decide {}. Have whoever writes the policy say what holds."
        yield tell("act", "other", text, plural(n, "ambiguous row"), "it" if n == 1 else "them")
    if n := result.verdicts["novel"]:
        text = "Annotate {} unlike anything labelled: nothing near {} supports any label, the given one included."
        yield tell("act", "other", text, plural(n, "row"), "it" if n == 1 else "them")


def _drop(result: MiningResult) -> Iterator[Advice]:
    if n := result.verdicts["duplicate"]:
        spared = pc.sum(pc.is_valid(result.table["why_spared"])).as_py() or 0
        kept = say(" {} stay although near a kept one (a rare class, a conflict of labels).", count(spared)) if spared else ""
        text = "Drop {} ({} of all): each stands near a row that stays.{}"
        yield tell("act", "duplicates", text, plural(n, "near duplicate"), percent(n / result.table.num_rows), kept)


def _slices(result: MiningResult) -> Iterator[Advice]:
    worse = sorted((s for s in result.slices if s.p < SURE), key=lambda s: (s.rest - s.error) * s.rows)
    for s in worse[:2]:
        rate, words = Rate(s.error, s.low, s.high, s.rows), f" ({', '.join(s.words)})" if s.words else ""
        text = (
            "In <strong>{}</strong>{} the classifier is wrong on <strong>{}</strong> {} of {}, elsewhere on {}: add rows of "
            "that kind."
        )
        yield tell("act", "slices", text, s.name, words, rate.percent, rate.interval, plural(s.rows, "row"), percent(s.rest))
    if len(worse) > 2:
        yield tell("watch", "slices", "{} more slices are worse than elsewhere.", count(len(worse) - 2))


def _label_next(result: MiningResult) -> Iterator[Advice]:
    if n := len(result.selected):
        audit = pc.sum(result.table["audit"]).as_py() or 0
        why = (
            say(" {} of them were drawn at random: label these too, the estimates rest on them.", count(audit)) if audit else ""
        )
        yield tell("act", "next", "Label {} next.{}", plural(n, "row"), why)


def _ask_again(result: MiningResult) -> Iterator[Advice]:
    ranked = result.table["ask_again_rank"]
    if n := len(ranked) - ranked.null_count:
        text = "Ask one more annotator about {}: <strong>ask_again_rank</strong> in the table has them in order."
        yield tell("act", "notes", text, plural(n, "row"))


def _rejected(result: MiningResult) -> Iterator[Advice]:
    if result.rejected:
        reason, n = Counter(reason for _, reason in result.rejected).most_common(1)[0]
        text = "{} could not be used; most often ({}): {}."
        yield tell("watch", "notes", text, plural(len(result.rejected), "row"), count(n), reason.rstrip("."))


def _notes(result: MiningResult) -> Iterator[Advice]:
    for note in result.notes[:NOTES]:
        yield tell("watch", "notes", "{}.", note.rstrip("."))
    if len(result.notes) > NOTES:
        yield tell("watch", "notes", "{} more notes.", count(len(result.notes) - NOTES))


def _rows(result: MiningResult, verdict: str, *columns: str) -> list[dict[str, str | None]]:
    chosen = result.table.filter(pc.equal(result.table["verdict"], verdict))
    return chosen.select(list(columns)).to_pylist()


RULES: tuple[Callable[[MiningResult], Iterator[Advice]], ...] = (
    _review, _relabel, _drop, _escalate, _slices, _label_next, _ask_again, _upweight, _rejected,
)  # fmt: skip
