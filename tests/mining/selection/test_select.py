from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.selection.base import Pool
from mining.selection.select import Quota, select
from sparring import registry
from sparring.embed import unit
from sparring.errors import DataError, JobError


@st.composite
def cases(draw):
    """A pool with twins and rows chosen before, a budget, and bounds on groups that may or may not be had."""
    n, seed = draw(st.integers(1, 60)), draw(st.integers(0, 99))
    rng = np.random.default_rng(seed)
    vectors = unit(rng.standard_normal((n, 6)))
    vectors[: n // 3] = vectors[rng.integers(0, n, n // 3)]
    pool = Pool(
        vectors,
        rng.dirichlet(np.ones(3), n).astype(np.float32) if draw(st.booleans()) else None,
        chosen=rng.permutation(n)[: draw(st.integers(0, n))],
        rare=draw(st.sampled_from([None, 1])),
    )
    budget = draw(st.integers(0, 40))
    of = rng.integers(0, 3, n)
    most = draw(st.integers(0, 20))
    least = draw(st.integers(0, min(budget, 10)))
    quotas = [Quota("class", of, {1: least}, {0: most})] if draw(st.booleans()) else []
    return pool, budget, quotas, draw(st.sampled_from([0.0, 0.1, 0.5])), seed


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from(registry.names("selector")))
def test_budget_quotas_twins_and_audit_hold_and_a_seed_fixes_all(case, strategy):
    pool, budget, quotas, audit, seed = case
    if pool.probabilities is None and strategy in ("margin", "entropy", "badge"):
        strategy = "mixed"

    def run():
        return select(pool, budget, strategy, audit=audit, quotas=quotas, seed=seed)

    found = run()
    assert found.rows.tolist() == run().rows.tolist()
    rows, drawn = found.rows, found.rows[found.audit]
    assert len(set(rows)) == len(rows) <= budget
    assert not set(rows) & set(pool.chosen)
    left = len(pool) - len(pool.chosen)
    assert len(drawn) == min(left, int(np.ceil(audit * budget)))
    assert (drawn == found.draw.rows).all()
    for i, row in enumerate(rows):
        before = [*pool.chosen, *rows[:i]]
        if not found.audit[i] and before:
            assert (pool.vectors[before] @ pool.vectors[row]).max() <= 0.95 + 1e-6
    for quota in quotas:
        taken = quota.of[rows]
        by_audit = quota.of[drawn]
        assert (taken == 0).sum() <= max(quota.most[0], (by_audit == 0).sum())
        if (taken == 1).sum() < quota.least[1]:
            assert any(s.startswith("class 1:") for s in found.short)
    if len(rows) < min(budget, left):
        assert found.short[0].startswith(f"{len(rows)} of {budget} rows")
        open = np.setdiff1d(np.arange(len(pool)), [*pool.chosen, *rows])
        for row in open:  # a rule stands against each row left
            full = any(quota.of[row] == 0 and (quota.of[rows] == 0).sum() >= quota.most[0] for quota in quotas)
            others = [*pool.chosen, *rows]
            assert full or (pool.vectors[others] @ pool.vectors[row]).max() > 0.95 - 1e-6


def test_two_quotas_at_once_take_rows_that_serve_both_first():
    rng = np.random.default_rng(0)
    vectors = unit(rng.standard_normal((200, 16)))
    label, part = np.arange(200) % 2, np.arange(200) // 100
    quotas = [Quota("label", label, {1: 8}), Quota("slice", part, {1: 8})]
    found = select(Pool(vectors), 8, "random", audit=0, quotas=quotas)
    assert found.short == ()
    assert (label[found.rows] & part[found.rows]).all()


def test_the_audit_is_no_different_whatever_the_selector_and_the_rules():
    rng = np.random.default_rng(0)
    pool = Pool(unit(rng.standard_normal((300, 8))), rng.dirichlet([1, 1], 300).astype(np.float32), rare=1)
    of = np.arange(300) % 2
    found = [
        select(pool, 50, name, audit=0.2, quotas=q, seed=3)
        for name in ("margin", "k_center")
        for q in ([], [Quota("half", of, most={0: 20})])
    ]
    assert len({tuple(f.rows[f.audit]) for f in found}) == 1
    assert [f.audit.sum() for f in found] == [10] * 4
    assert tuple(found[0].rows[:10]) != tuple(select(pool, 50, audit=0.2, seed=4).rows[:10])


def test_every_row_is_as_likely_to_be_audited():
    vectors = unit(np.random.default_rng(0).standard_normal((40, 4)))
    vectors[:20] = vectors[0]  # near duplicates too, or the estimate would be of another population
    count = sum(np.isin(np.arange(40), select(Pool(vectors), 8, "random", audit=1, seed=s).rows) for s in range(2000))
    assert np.abs(count / 2000 - 0.2).max() < 0.04


def test_an_empty_pool_a_single_row_and_no_budget():
    empty = Pool(np.zeros((0, 4), np.float32), np.zeros((0, 2), np.float32))
    for name in registry.names("selector"):
        assert select(empty, 5, name).short == ("0 of 5 rows: no other row is open",)
        one = Pool(np.eye(1, 4, dtype=np.float32), np.array([[0.3, 0.7]], np.float32))
        assert select(one, 1, name, audit=0).rows.tolist() == [0]
        assert select(one, 0, name).rows.tolist() == []


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"budget": -1}, DataError, "budget of 0 rows or more, got -1"),
        ({"audit": 1.5}, DataError, r"in \[0, 1\], got 1.5"),
        ({"strategy": "margn"}, JobError, "Did you mean 'margin'"),
        ({"quotas": [Quota("class", np.zeros(3, int))]}, DataError, r"each of 4 rows, got \(3,\)"),
        ({"quotas": [Quota("class", np.zeros(4, int), {0: 3})]}, DataError, "at most 2 rows in all.*ask for 3"),
        ({"quotas": [Quota("class", np.zeros(4, int), {0: 2}, {0: 1})]}, DataError, "at least 2 and at most 1"),
        ({"strata": np.arange(4), "audit": 0.5}, DataError, "each of 4 audit strata, got 1"),
    ],
)
def test_a_bad_request_is_refused_with_what_was_expected(settings, error, match):
    with pytest.raises(error, match=match):
        select(Pool(np.eye(4, dtype=np.float32)), **{"budget": 2, "strategy": "random", **settings})
