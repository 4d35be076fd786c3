"""What a report says first: sentences and lines of advice, each made from the summary by a rule of this file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup

from . import plots
from .plots import Rate, count, readable

Summary = Mapping[str, Any]
BENIGN_LIMIT = 0.05  # false positives on perturbed benign rows, by the worst operator
CLEAN_TOLERANCE = 0.01  # points of clean F1 that a run may cost
STEADY = 0.001  # a score may move so much when the same input is asked about again
GAP = 0.10  # raw ASR above valid ASR

ARMS = {  # how an arm is called, and what it means when ours is not ahead of it
    "ours": ("ours: search and mining", ""),
    "same_data_new_seed": ("same data, new seed", "training again explains the gain; attack rows added nothing measurable"),
    "random_operators": ("random operators, no search", "random edits teach as much; the search is not worth its queries"),
    "plain_generation": (
        "generated images, not attacked",
        "plain images of the generator teach as much; the guidance adds nothing",
    ),
    "adversarial_training": ("training rows moved by a gradient (FGSM)", "plain adversarial training teaches as much"),
    "ours_combined": ("ours, with FGSM and corruption", "train on all three"),
    "without_mining": ("ours, without mining", "unselected rows teach as much here; leave the mining out"),
}


@dataclass(frozen=True, slots=True)
class Advice:
    """A line of "What to do"; `section` is the part of the page that holds the evidence."""

    level: Literal["act", "watch", "good"]
    text: Markup
    section: str


def verdict(summary: Summary) -> list[Markup]:
    """The sentences of the header; the first is the one to remember."""
    rounds = summary.get("rounds") or []
    if not rounds:
        return [Markup("No round was finished, so nothing was measured yet.")]
    first, last, said = rounds[0], rounds[-1], []
    valid = "valid_asr_fresh" if rate_of(first, "valid_asr_fresh") else "asr_fresh"
    if before := rate_of(first, valid):
        budget = f"with {summary['budget']} queries " if summary.get("budget") else ""
        judged = "while they still violate" if valid == "valid_asr_fresh" else "(whether they still violate was not judged)"
        text = "In round {}, an attacker {}gets {} of caught violations past the classifier {}"
        sentence = say(text, first.get("round", 0), budget, strong(before), judged)
        if len(rounds) > 1 and (after := rate_of(last, valid)):
            change = ": it got worse" if after.value > before.value else ""
            if after.overlaps(before):
                change = ": the intervals overlap, so no clear change"
            sentence += say("; after {} {}{}", plots.plural(len(rounds) - 1, "round"), strong(after), change)
        said.append(sentence + ".")
    start, end = rate_of(first, "clean", "f1"), rate_of(last, "clean", "f1")
    if start and end and len(rounds) > 1:
        said.append(say("Clean F1 went from <strong>{}</strong> to <strong>{}</strong>.", start.figure, end.figure))
    elif start:
        said.append(say("Clean F1 is <strong>{}</strong>.", start.figure))
    frozen = rate_of(last, "asr_frozen")
    if frozen and len(rounds) > 1:
        said.append(say("Of the samples that beat round 0, <strong>{}</strong> still pass.", frozen.percent))
    gated = [r for r in rounds if r.get("promoted") is not None]
    if gated:
        passed = [str(r.get("round")) for r in gated if r["promoted"]]
        which = f"round{'s'[: len(passed) > 1]} {', '.join(passed)}" if passed else "none"
        said.append(say("Promoted: <strong>{}</strong>.", which))
    worst, name = rate_of(last, "fpr_benign_perturbed", "worst"), get(last, "fpr_benign_perturbed", "worst_operator")
    if worst and name:
        said.append(say("Worst operator on benign rows: <strong>{}</strong>, {} false positives.", name, worst.percent))
    return said


def advice(summary: Summary) -> list[Advice]:
    """The lines of "What to do", the urgent ones first; each comes from one rule below."""
    if not summary.get("rounds"):
        return [tell("act", "run", "Start <code>sparring run</code> with the same job again: it resumes.")]
    lines = [line for rule in RULES for line in rule(summary)]
    if all(line.level == "good" for line in lines):
        lines.append(tell("good", "run", "None of the rules behind this list found anything to mend."))
    return sorted(lines, key=lambda line: ("act", "watch", "good").index(line.level))


def forgetting(s: Summary) -> Markup | None:
    """The line below the payoff matrix: where a later classifier lost most of what an earlier one had learned."""
    worst, payoff = get(s, "forgetting", "worst"), s.get("payoff") or []
    i, least = get(worst, "attacker"), get(worst, "target")
    if i is None or least is None or i >= len(payoff):
        return None
    now, then = Rate.read(payoff[i][-1]), Rate.read(payoff[i][least])
    if not now or not then:
        return None
    if now.value <= then.value:
        return say("Nothing was forgotten: on the last classifier no earlier attacker does better than on any since its round.")
    text = (
        "Forgetting, at worst: the attacker of round {} gets <strong>{}</strong> past the last classifier and got {} past that "
        "of round {}, a loss of {:.1f} points{}."
    )
    doubt = "; the intervals overlap, so this is not settled" if now.overlaps(then) else ""
    return say(text, i, now, then, least, 100 * (now.value - then.value), doubt)


def tell(level: Literal["act", "watch", "good"], section: str, template: str, *values: Any) -> Advice:
    return Advice(level, say(template, *values), section)


def _gate(s: Summary) -> Iterator[Advice]:
    gated = [r for r in s["rounds"] if r.get("promoted") is not None]
    for r in gated:
        if not r["promoted"]:
            reason = str(r.get("gate_reason") or "no reason was recorded").rstrip(".")
            yield tell("act", "rounds", "Round {} was not promoted: {}.", r.get("round"), reason)
    passed = [r.get("round") for r in gated if r["promoted"]]
    if passed:
        text = "Use the classifier of <strong>round {}</strong>, the newest that passed the gate."
        yield tell("good", "rounds", text, passed[-1])
    elif gated:
        yield tell("act", "rounds", "Keep the classifier that you have: no retrained one passed the gate.")


def _control_arms(s: Summary) -> Iterator[Advice]:
    rates = {name: rate for name, arm in (s.get("arms") or {}).items() if (rate := rate_of(arm, "valid_asr_fresh"))}
    ours = rates.pop("ours", None)
    if not ours or not rates:
        return
    order = sorted(rates, key=lambda name: rates[name].value)
    ahead = [name for name in order if rates[name].value <= ours.value]
    for name in ahead:
        label, meaning = ARMS.get(name, (name, "it teaches as much here"))
        place = "level with" if rates[name].value == ours.value else "ahead of"
        settled = "; the intervals overlap, so the order is not settled" if rates[name].overlaps(ours) else ""
        text = 'The control arm "<strong>{}</strong>" is {} ours: {} valid ASR against {}{}. Taken at face value, {}.'
        yield tell("act", "arms", text, label, place, rates[name], ours, settled, meaning)
    if not ahead:
        close = ", ".join(ARMS.get(name, (name, ""))[0] for name in order if rates[name].overlaps(ours))
        doubt = f", but the intervals overlap with: {close}. Attack more seeds to settle it" if close else ""
        text = "<strong>Ours</strong> wins against each control arm: {} valid ASR, the best of the others {}{}."
        yield tell("watch" if close else "good", "arms", text, ours, rates[order[0]], doubt)


def _still_open(s: Summary) -> Iterator[Advice]:
    rounds, last = s["rounds"], s["rounds"][-1]
    rate, families = rate_of(last, "valid_asr_fresh"), rates_of(last.get("by_family"))
    if not rate:
        return
    worst = max(families, key=lambda name: families[name].value, default=None)
    if rate.value >= 0.05:
        how = say(", most of all by <strong>{}</strong> ({})", worst, families[worst].percent) if worst else ""
        if len(rounds) == 1:
            fix = "This is the classifier as it came: retrain on the published rows and spar again."
        elif worst == "character":
            fix = "A text normaliser comes first, then spar on."
        else:
            fix = "Publish more rows of that family and spar on." if worst else "Spar on."
        text = "The attacker still gets <strong>{}</strong> through{}. {}"
        section = "families" if worst else "attack"
        yield tell("act" if rate.value >= 0.2 else "watch", section, text, rate.percent, how, fix)
    frozen = rate_of(last, "asr_frozen")
    if frozen and len(rounds) > 1 and frozen.value <= 0.1 and rate.value >= 0.2:
        text = (
            "The old tricks are learnt ({} of them pass) but new ones are found ({}): the classifier knows what it was "
            "trained on, not yet what that stands for."
        )
        yield tell("watch", "attack", text, frozen.percent, rate.percent)
    if rate.n is not None and rate.n < 100:
        text = "Only {} held-out seeds were attacked, so the intervals are wide. Hold out more violating rows."
        yield tell("watch", "attack", text, rate.n)


def _character_tricks(s: Summary) -> Iterator[Advice]:
    rate = rates_of(s["rounds"][-1].get("by_family")).get("character")
    if rate and rate.value >= 0.05:
        text = (
            "Character tricks get {} through. A text normaliser in front of the classifier undoes some of them: <code>"
            'sparring.text.canonical(text, "deobfuscate")</code> (look-alikes, invisible characters, leet, spacing, not slips '
            "of the pen)."
        )
        yield tell("act", "families", text, rate.percent)


def _benign_rows(s: Summary) -> Iterator[Advice]:
    benign = s["rounds"][-1].get("fpr_benign_perturbed") or {}
    worst = rate_of(benign, "worst")
    if worst and worst.value > BENIGN_LIMIT:
        text = (
            "<strong>{}</strong> on benign rows raises {} false positives (limit {}). Add benign rows perturbed by "
            "it to the training data, or normalise it away."
        )
        name = benign.get("worst_operator") or "One operator"
        yield tell("act", "benign", text, name, worst.percent, f"{BENIGN_LIMIT:.0%}")


def _look_alikes(s: Summary) -> Iterator[Advice]:
    told = [r["benign_twins"] for r in s["rounds"] if r.get("benign_twins")]
    if without := sum(t.get("without") or 0 for t in told):
        text = (
            "{} came of no operator but of a language model or a gradient: no benign row could be changed alike, so that a "
            "classifier retrained on them may learn that such a sample violates. See what it does with benign rewrites."
        )
        yield tell("watch", "benign", text, plots.plural(without, "hard example"))
    if blocked := sum(t.get("blocked") or 0 for t in told):
        text = (
            "The classifier wrongly blocked {} of the successes. They stand with what they look like in "
            "<code>round-*/hard_negatives/part-*.parquet</code>, joined by <code>pair_id</code>."
        )
        yield tell("watch", "benign", text, plots.plural(blocked, "benign look-alike"))


def _clean_quality(s: Summary) -> Iterator[Advice]:
    start, end = rate_of(s["rounds"][0], "clean", "f1"), rate_of(s["rounds"][-1], "clean", "f1")
    if start and end and start.value - end.value > CLEAN_TOLERANCE:
        text = (
            "Robustness was paid for with clean quality: F1 fell by {:.3f}. Lower the share of attack rows, or keep an "
            "earlier round's classifier."
        )
        yield tell("act", "clean", text, start.value - end.value)


def _target(s: Summary) -> Iterator[Advice]:
    unsteady = max((r.get("unsteady") or 0.0 for r in s["rounds"]), default=0.0)
    if unsteady > STEADY:
        text = (
            "The classifier answers differently for the same input, by up to {:.3f}. Figures will not repeat: look for dropout "
            "left on, sampling, or several versions behind one address."
        )
        yield tell("act", "run", text, unsteady)
    if failed := sum(r.get("failed_seeds") or 0 for r in s["rounds"]):
        text = "The classifier gave no score for {}; they are in no rate. See why before you trust the others."
        yield tell("act", "run", text, plots.plural(failed, "seed"))
    silent = rate_of(s["rounds"][-1], "audit_abstained")
    if silent and silent.value:
        text = (
            "The audit judge abstained on {:.0%} of the successes that the filter accepted; none of them counts as valid, so "
            "valid ASR is a lower bound. Have people judge some (sparring review), or take another judge."
        )
        yield tell("act", "run", text, silent.value)
    if failed := max((r.get("failed_rows") or 0 for r in s["rounds"]), default=0):
        text = "The classifier gave no score for {} of the clean test set; its figures leave them out."
        yield tell("act", "run", text, plots.plural(failed, "row"))


def _data(s: Summary) -> Iterator[Advice]:
    if n := s.get("label_issues"):
        text = (
            "{} of your data may carry a wrong label. Have a person look there first: what is mislabelled teaches the "
            "classifier to miss."
        )
        yield tell("act", "data", text, plots.plural(n, "row"))
    filled = {cell.get("clause") for cell in get(s, "archive", "cells") or []}
    bare = [clause for clause in get(s, "archive", "axes", "clause") or [] if clause not in filled]
    if bare and filled:
        what, it = ("this clause", "it") if len(bare) == 1 else (f"{len(bare)} clauses", "them")
        yield tell("watch", "coverage", "No hard example touches {}: {}. Add seeds for {}.", what, ", ".join(bare[:8]), it)
    made, kept = (sum(r.get(key) or 0 for r in s["rounds"]) for key in ("generated", "accepted"))
    reasons = rejected(s)
    if made and kept / made < 0.1 and reasons:
        text = (
            'Of {} generated samples only {} were accepted; most fell to "{}". A larger generator or a closer prompt '
            "costs less than more of the same."
        )
        yield tell("watch", "yield", text, count(made), count(kept), next(iter(reasons)).replace("_", " "))


def _raw_above_valid(s: Summary) -> Iterator[Advice]:
    raw, valid = rate_of(s["rounds"][-1], "asr_fresh"), rate_of(s["rounds"][-1], "valid_asr_fresh")
    if raw and valid and raw.value - valid.value >= GAP:
        text = (
            "Raw ASR is {}, valid ASR {}: the difference are samples that a normaliser gives away, that strayed too far from "
            "what they came from, or in which a judge sees no violation any more. Go by the valid figure."
        )
        yield tell("watch", "attack", text, raw.percent, valid.percent)


def _judges(s: Summary) -> Iterator[Advice]:
    audit = (s.get("judges") or {}).get("audit")
    wrong, right = rates_of(get(audit, "false_positive_rates")), rate_of(audit, "true_positive_rate")
    worst = max(wrong, key=lambda name: wrong[name].value, default=None)
    if worst and wrong[worst].value > 0.2:
        text = (
            'The audit judge is lenient: it calls {} of the challenge rows "{}" violating, so valid ASR may be too '
            "high. Have people check a sheet: <code>sparring review</code>."
        )
        yield tell("watch", "judges", text, wrong[worst].percent, worst.replace("_", " "))
    if right and right.value < 0.8:
        text = "The audit judge knows only {} of true violations, so valid ASR may be too low."
        yield tell("watch", "judges", text, right.percent)


RULES: tuple[Callable[[Summary], Iterator[Advice]], ...] = (
    _gate,
    _control_arms,
    _still_open,
    _character_tricks,
    _benign_rows,
    _look_alikes,
    _clean_quality,
    _target,
    _data,
    _raw_above_valid,
    _judges,
)


def get(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def rate_of(data: Any, *keys: str) -> Rate | None:
    return Rate.read(get(data, *keys))


def rates_of(data: Any) -> dict[str, Rate]:
    return {name: rate for name in data or {} if (rate := Rate.read(data[name]))}


def keys_of(mappings: Any) -> list[str]:
    return list(dict.fromkeys(key for mapping in mappings for key in mapping or {}))


def rejected(s: Summary) -> dict[str, int]:
    total: Counter[str] = Counter()
    for r in s.get("rounds") or []:
        total.update(r.get("rejected") or {})
    return dict(total.most_common())


def say(template: str, *values: Any) -> Markup:
    """A sentence of ours with values of anybody's: escaped, clipped, hidden characters spelled out."""
    return Markup(template).format(*(v if isinstance(v, Markup | float) else readable(v) for v in values))


def strong(rate: Rate) -> Markup:
    return Markup("<strong>{}</strong> {}").format(rate.percent, rate.interval).strip()
