from __future__ import annotations

import time
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redteam.engine import Attack, Candidate, Seed, attack, stream
from sparring import registry
from sparring.embed import DummyEmbedder
from sparring.errors import RowsFailed, TargetFailed
from sparring.protocols import Verdict
from sparring.record import Step, digest
from sparring.text import canonical, payload

STEP = (Step("test", 1.0, 0),)


class HashTarget:
    """Scores by the text's hash, gains of swaps too, and counts every score and gradient that it gives."""

    labels = ("benign", "spam")
    threshold = 0.2

    def __init__(self) -> None:
        self.asked: list[str] = []

    def predict_proba(self, samples):
        self.asked += samples
        p = np.array([int(digest(s)[:8], 16) / 2**32 for s in samples], np.float32)
        return np.stack([1 - p, p], 1)

    def swap_gains(self, samples, spans, words):
        self.asked += samples
        rngs = [np.random.default_rng(int(digest(s)[:8], 16)) for s in samples]
        return [rng.normal(size=(len(mine), len(words))).astype(np.float32) for rng, mine in zip(rngs, spans, strict=True)]


class Grow(Attack):
    """Proposes `width` random longer texts until it is stopped."""

    def __init__(self, width: int, tail: str = "x"):
        self.width, self.tail = width, tail

    def search(self, seed, score, threshold, rng: Random):
        while True:
            told = yield [Candidate(f"{seed.text} {self.tail}{rng.randrange(10**6)}", STEP) for _ in range(self.width)]
            assert len(told) == self.width


class Always:
    def __init__(self, valid: bool = True):
        self.valid = valid

    def assess(self, seeds, samples, labels):
        return [Verdict(self.valid, 1.0, "" if self.valid else "label") for _ in samples]


def seeds(n: int) -> list[Seed]:
    return [Seed(f"s{i}", f"win a prize number {i}", "spam") for i in range(n)]


@settings(max_examples=60, deadline=None)
@given(
    budget=st.integers(1, 40), width=st.integers(1, 9), window=st.integers(1, 30), n=st.integers(0, 12), valid=st.booleans(),
    wins=st.integers(1, 4),
)  # fmt: skip
def test_no_budget_is_exceeded_by_one_query_and_every_query_is_counted(budget, width, window, n, valid, wins):
    target = HashTarget()
    found = attack(Grow(width, "é"), target, seeds(n), Always(valid), budget=budget, window=window, wins=wins)
    assert len(found) == n
    assert all(o.queries <= budget for o in found)
    assert sum(o.queries for o in found) == len(target.asked)


@settings(max_examples=30, deadline=None)
@given(window=st.integers(1, 40), seed=st.integers(0, 5), wins=st.integers(1, 3))
def test_results_depend_on_the_seed_and_not_on_the_window(window, seed, wins):
    def play(size):
        return [
            (o.seed.id, o.status, o.queries, o.sample, o.further)
            for o in attack(Grow(3), HashTarget(), seeds(10), Always(), budget=15, window=size, seed=seed, wins=wins)
        ]

    assert play(window) == play(256)


@settings(max_examples=40, deadline=None)
@given(budget=st.integers(2, 60), judged=st.integers(1, 6), wins=st.integers(1, 4), lenient=st.integers(0, 2))
def test_a_search_goes_on_to_as_many_different_successes_as_are_wanted(budget, judged, wins, lenient):
    class Some:
        asked: tuple[str, ...] = ()

        def assess(self, seeds, samples, labels):
            self.asked += tuple(zip(seeds, samples, strict=True))
            return [Verdict(int(digest(s)[:2], 16) % 3 <= lenient, 1.0, "label") for s in samples]

    judge, target = Some(), HashTarget()
    found = attack(Grow(3), target, seeds(12), judge, budget=budget, judge_budget=judged, wins=wins)
    for one in found:
        won = [one.sample, *(told.candidate for told, _ in one.further)] if one.sample else []
        assert len({c.text for c in won}) == len(won) <= wins
        assert (one.status == "success") == bool(won)
        assert all(verdict.valid and told.score <= target.threshold for told, verdict in one.further)
        asked = sum(seed == one.seed.text for seed, _ in judge.asked)
        assert asked == len(won) + len(one.rejected) <= judged
        if one.status == "success" and len(won) < wins:
            assert one.queries == budget or asked == judged, "it gave up before its budgets were spent"


@settings(max_examples=30, deadline=None)
@given(window=st.integers(1, 20), budget=st.integers(1, 15), n=st.integers(0, 40))
def test_a_stream_gives_the_same_outcomes_and_takes_no_more_seeds_than_it_needs(window, budget, n):
    taken = []

    def endless():
        for one in seeds(n):
            taken.append(one.id)
            yield one

    out = []
    for outcome in stream(Grow(3), HashTarget(), endless(), Always(), budget=budget, window=window):
        out.append(outcome)
        assert len(taken) - len(out) <= window * budget, "what waits is bounded: a search ends with its budget"
    assert out == attack(Grow(3), HashTarget(), seeds(n), Always(), budget=budget)


def test_a_seed_that_the_target_misses_is_no_success():
    class Blind(HashTarget):
        def predict_proba(self, samples):
            self.asked += samples
            return np.tile(np.array([[1.0, 0.0]], np.float32), (len(samples), 1))

    found = attack(Grow(3), Blind(), seeds(4), Always(), budget=10)
    assert [(o.status, o.queries, o.evaded) for o in found] == [("missed", 1, False)] * 4


def test_what_the_judge_refuses_is_no_success_but_is_raw_evasion():
    found = attack(Grow(4), HashTarget(), seeds(8), Always(False), budget=40)
    caught = [o for o in found if o.status != "missed"]
    assert caught
    assert all(o.status == "survived" and o.sample is None for o in caught)
    assert any(o.evaded for o in caught)
    assert all(reason == "label" for o in caught for *_, reason in o.rejected)


def test_what_a_normaliser_undoes_is_no_success():
    class Literal(HashTarget):
        """Calls a text benign when it holds a zero-width space, which canonical form removes."""

        def predict_proba(self, samples):
            self.asked += samples
            p = np.array([0.0 if "\u200b" in s else 1.0 for s in samples], np.float32)
            return np.stack([1 - p, p], 1)

    class Invisible(Attack):
        def search(self, seed, score, threshold, rng):
            self.told = yield [Candidate(seed.text[:3] + "\u200b" + seed.text[3:], STEP)]

    strategy = Invisible()
    (found,) = attack(strategy, Literal(), seeds(1), Always(), budget=10)
    assert (found.status, found.evaded) == ("survived", True)
    assert strategy.told[0].reason == "undone by a normaliser"


def test_the_score_of_what_a_normaliser_makes_of_a_success_is_kept_beside_its_own():
    class Spaced(Attack):
        def search(self, seed, score, threshold, rng):
            yield [Candidate(f"{seed.text} {letter}", STEP) for letter in ("\u00a0x", "y")]

    class Words:
        labels, threshold = ("benign", "spam"), 0.5

        def predict_proba(self, samples):
            p = np.array([0.9 if s == "win" else 0.1 if s == canonical(s) else 0.2 for s in samples], np.float32)
            return np.stack([1 - p, p], 1)

    found = attack(Spaced(), Words(), [Seed("a", "win", "spam")], Always(), budget=9)
    [one] = found
    assert (one.status, round(one.score, 3), round(one.flat_score, 3)) == ("success", 0.2, 0.1)

    class Plain(Spaced):
        def search(self, seed, score, threshold, rng):
            yield [Candidate("win y", STEP)]

    [one] = attack(Plain(), Words(), [Seed("a", "win", "spam")], Always(), budget=9)
    assert one.score == one.flat_score, "what a normaliser leaves as it is has one score"
    assert one.queries == 2


def test_payload_and_length_are_checked_before_any_query():
    class Cheat(Attack):
        def search(self, seed, score, threshold, rng):
            self.told = yield [
                Candidate("hello friend", STEP),
                Candidate(seed.text + " hi" * 90, STEP),
                Candidate(seed.text, STEP),
            ]

    strategy, target = Cheat(), HashTarget()
    target.threshold = -1.0  # everything is caught
    (found,) = attack(strategy, target, [Seed("s", "call 08001234567 now", "spam")], Always(), budget=10)
    assert [t.reason for t in strategy.told] == ["payload", "length", "duplicate"]
    assert found.queries == 1


def test_a_search_that_proposes_nothing_new_comes_to_an_end():
    class Stuck(Attack):
        def search(self, seed, score, threshold, rng):
            while True:
                yield [Candidate(seed.text, STEP)]

    target = HashTarget()
    target.threshold = -1.0
    (found,) = attack(Stuck(), target, seeds(1), Always(), budget=10)
    assert found.queries == 1


@pytest.mark.parametrize(("answer", "message"), [
    (np.tile([np.nan, 0.5], (3, 1)), "NaN"), (np.full((3, 2), np.inf), "infinity"),
    (np.zeros((3, 3)), "shape"), (np.full((3, 2), 1.5), r"\[0, 1\]"),
    ([["high", "low"]] * 3, "numbers, the target gave another list"), ([[0.1, 0.9], [1.0], []], "gave another list"),
    (None, "shape")])  # fmt: skip
def test_a_target_that_answers_nonsense_is_said(answer, message):
    class Broken(HashTarget):
        def predict_proba(self, samples):
            return answer

    with pytest.raises(TargetFailed, match=message):
        attack(Grow(1), Broken(), seeds(3), Always(), budget=5)


def test_rows_that_the_target_fails_on_are_recorded_and_lose_nothing_else():
    class Flaky(HashTarget):
        def predict_proba(self, samples):
            p = super().predict_proba(samples)
            p[[digest(s)[-1] in "012" for s in samples]] = np.nan
            return p

    target = Flaky()
    found = attack(Grow(4), target, seeds(40), Always(), budget=20)
    assert len(found) == 40
    assert sum(o.queries for o in found) == len(target.asked)
    failed = [o for o in found if o.status == "failed"]
    assert failed
    assert all(np.isnan(o.clean_score) and o.queries == 1 and not o.evaded for o in failed)
    assert any(o.status == "success" for o in found)
    assert not any(np.isnan(o.score) for o in found if o.status == "success")


@settings(max_examples=25, deadline=None)
@given(
    text=st.text(max_size=200), name=st.sampled_from(registry.names("attack")), budget=st.integers(2, 30), guided=st.booleans(),
    wins=st.integers(1, 3),
)  # fmt: skip
def test_every_strategy_keeps_budget_payload_and_length_on_any_text(made, text, name, budget, guided, wins):
    from redteam.knowledge import Knowledge, Phrase

    operators = {
        n: registry.make("operator", n) for n in ("dilution", "homoglyph", "leet", "merge", "spacing", "typo", "split")
    }
    guide = DummyEmbedder() if guided else None
    known = Knowledge(phrases=(Phrase("see you at home"), Phrase("thanks mate")))
    target = HashTarget()
    strategy = made(name, operators, known, guide)
    (found,) = attack(strategy, target, [Seed("s", text, "spam")], Always(), budget=budget, wins=wins)
    assert found.queries == len(target.asked) <= budget
    for sample in [found.sample, *(told.candidate for told, _ in found.further)] if found.sample else []:
        flat = canonical(sample.text)
        assert all(p in flat for p in payload(canonical(text)))
        assert len(flat) <= 1.5 * len(text) + 20


@pytest.mark.parametrize("name", registry.names("attack"))
def test_results_of_every_strategy_do_not_depend_on_the_window(made, name):
    from redteam.knowledge import Knowledge, Phrase

    operators = {n: registry.make("operator", n) for n in ("dilution", "leet", "typo", "spacing")}
    known = Knowledge(phrases=(Phrase("see you at home"), Phrase("thanks mate")))

    def play(window):
        strategy = made(name, operators, known, DummyEmbedder())
        return [
            (o.status, o.queries, o.sample)
            for o in attack(strategy, HashTarget(), seeds(12), Always(), budget=15, window=window)
        ]

    assert play(1) == play(5) == play(256)


def test_a_huge_text_is_attacked_in_seconds():
    class Strict(HashTarget):
        threshold = -1.0

    from redteam.knowledge import Knowledge

    operators = {n: registry.make("operator", n) for n in registry.names("operator") if n not in ("synonym", "misspelling")}
    strategy = registry.make("attack", "greedy", operators=operators, knowledge=Knowledge())
    started = time.perf_counter()
    (found,) = attack(strategy, Strict(), [Seed("s", "win a prize now " * 6000, "spam")], Always(), budget=20)
    assert found.queries == 20
    assert time.perf_counter() - started < 30


class Failing(HashTarget):
    """Gives no score for texts that hold "bad", and raises for a call that holds "boom"."""

    threshold = 0.0

    def predict_proba(self, samples):
        if any("boom" in s for s in samples):
            raise RowsFailed("boom")
        p = super().predict_proba(samples)
        p[["bad" in s for s in samples]] = np.nan
        return p


@pytest.mark.parametrize("window", [1, 2, 3, 256])
def test_what_a_target_fails_on_costs_these_seeds_alone_whatever_the_window(window):
    texts = ["bad one", "bad two", "boom three", "fine four", "bad five", "fine six"]
    rows = [Seed(str(i), text, "spam") for i, text in enumerate(texts)]
    found = attack(Grow(2), Failing(), rows, Always(), budget=5, window=window)
    assert [o.status for o in found] == ["failed", "failed", "failed", "survived", "failed", "survived"]
    assert [o.queries for o in found] == [1, 1, 1, 5, 1, 5]


@pytest.mark.parametrize("window", [1, 7, 256])
def test_a_target_that_fails_on_seed_after_seed_ends_the_attack(window):
    down = [Seed(str(i), f"bad {i}", "spam") for i in range(20)]
    with pytest.raises(TargetFailed, match="20 seeds one after the other"):
        attack(Grow(1), Failing(), [*seeds(3), *down], Always(), budget=5, window=window)
    fewer = attack(Grow(1), Failing(), [*down[:19], *seeds(1), *down[19:]], Always(), budget=5, window=window)
    assert [o.status for o in fewer].count("failed") == 20


@pytest.mark.parametrize("tail", ["bad", "boom"])
def test_a_seed_of_which_no_candidate_got_a_score_is_no_survivor(tail):
    (found,) = attack(Grow(2, tail), Failing(), seeds(1), Always(), budget=9)
    assert (found.status, found.evaded) == ("failed", False)


def test_a_hit_that_a_normaliser_undoes_is_raw_success_alone():
    class Plain(HashTarget):
        """Knows the seed's own letters only."""

        def predict_proba(self, samples):
            p = np.array([float("win" in s) for s in samples], np.float32)
            return np.stack([1 - p, p], 1)

    class Shots(Attack):
        def search(self, seed, score, threshold, rng):
            for text in (seed.text.replace("win", "w\u0456n"), seed.text.replace("win", "won")):
                yield [Candidate(text, STEP)]

    undone, stood = (attack(Shots(), Plain(), seeds(1), Always(False), budget=n)[0] for n in (2, 9))
    assert (undone.evaded, undone.stood, undone.status) == (True, False, "survived")
    assert (stood.evaded, stood.stood, stood.status) == (True, True, "survived")
