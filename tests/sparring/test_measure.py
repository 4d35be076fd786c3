from __future__ import annotations

import pytest

from sparring import measure
from sparring.results import AttackResult


def figure(value: float | None) -> list[float] | None:
    return None if value is None else [value, max(0.0, value - 0.1), min(1.0, value + 0.1), 40]


def payoff(*rows: tuple[float | None, ...]):
    return [[figure(value) for value in row] for row in rows]


def test_forgetting_is_the_loss_against_the_best_target_since_the_attackers_round():
    found = measure.forgetting(payoff((0.6, 0.1, 0.3, 0.25), (0.0, 0.4, 0.2, 0.5), (0.9, 0.9, 0.3, 0.1), (0.9, 0.9, 0.9, 0.8)))
    assert found["by_attacker"] == [
        {"attacker": 0, "target": 1, "forgotten": pytest.approx(0.15)},
        {"attacker": 1, "target": 2, "forgotten": pytest.approx(0.3)},  # what target 0 did before its round does not count
        {"attacker": 2, "target": 3, "forgotten": 0.0},
    ]
    assert found["worst"] == found["by_attacker"][1]


def test_forgetting_needs_two_targets_and_says_nothing_of_what_was_not_measured():
    assert measure.forgetting(payoff((0.5,))) is None
    assert measure.forgetting([]) is None
    assert measure.forgetting(payoff((0.5, None), (0.1, 0.1))) is None
    assert measure.forgetting(payoff((None, 0.2), (0.1, 0.1)))["worst"] == {"attacker": 0, "target": 1, "forgotten": 0.0}


def result(status: str, queries: int, audit: bool | None = None) -> AttackResult:
    return AttackResult("s", status, queries, status == "success", 0.9, None, (), None, None, audit, ())


def test_valid_asr_counts_what_was_caught_and_is_none_where_nothing_could_be_tried():
    results = [result("success", 5, True), result("success", 5, False), result("survived", 20), result("missed", 1)]
    assert measure.valid_asr(results)[0] == pytest.approx(1 / 3, abs=1e-6)
    assert measure.valid_asr(results)[3] == 3
    assert measure.valid_asr([result("survived", 1), result("survived", 1)]) is None, "no candidate was proposed: not a zero"
    assert measure.valid_asr([]) is None


def test_what_an_attack_wins_falls_when_it_needs_more_queries():
    early, late = ([result("success", queries), result("survived", 50)] for queries in (2, 40))
    assert measure.won(early, 50) == pytest.approx(49 / 50 / 2)
    assert measure.won(late, 50) == pytest.approx(11 / 50 / 2)
    assert measure.won([*early, result("missed", 1)], 50) == measure.won(early, 50), (
        "a seed that was never caught is no success"
    )
    by_budget = [sum(r.status == "success" and r.queries <= b for r in late) / len(late) for b in range(1, 51)]
    assert measure.won(late, 50) == pytest.approx(sum(by_budget) / 50), "the area under success by budget"
    assert measure.won([], 50) == 0


def test_an_audit_that_abstains_on_all_has_measured_nothing(monkeypatch):
    class Ctx:
        families = ()

    def silent(status: str, queries: int, says: bool) -> AttackResult:
        return AttackResult("s", status, queries, True, 0.9, "x", (), 0.1, 0.5, False, (), stood=True, silent=says)

    some = measure.attacked(Ctx, [silent("success", 5, True), silent("success", 5, False), result("survived", 20)])
    assert some["valid_asr_fresh"][0] == 0.0
    assert some["audit_abstained"][0] == 0.5
    assert some["asr_normalised_fresh"][0] == pytest.approx(2 / 3, abs=1e-6)
    every = measure.attacked(Ctx, [silent("success", 5, True)] * 3 + [result("survived", 20)])
    assert every["valid_asr_fresh"] is None
    assert every["audit_abstained"][0] == 1.0
    assert measure.attacked(Ctx, [result("survived", 20)])["valid_asr_fresh"][0] == 0.0, "nothing got past: that is a zero"
