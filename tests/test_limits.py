"""A run stops at its limits in good order: what is there is published, the summary says which limit, a rerun says the same."""

from __future__ import annotations

import json
import pathlib

import pyarrow.parquet as pq
import pytest

from sparring import jobs, results
from sparring.errors import JobError

SMALL = {"attack__train_seeds": 60, "attack__test_seeds": 20}
WRITTEN = {"model": {"kind": "dummy"}, "samples": 64}


def summary(folder: pathlib.Path) -> dict:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def units(folder: pathlib.Path) -> list[str]:
    return [json.loads(p.read_text())["path"] for p in sorted((folder / "commits").glob("*.json"))]


def queried(folder: pathlib.Path) -> int:
    """Counted again, from what each attack wrote down."""
    attacked = sum(sum(pq.read_table(p)["queries"].to_pylist()) for p in folder.rglob("*.parquet") if "outcomes" in p.parts)
    return attacked + sum(json.loads(p.read_text())["queries"] for p in folder.rglob("attacker.json"))


def test_a_limit_on_queries_is_not_exceeded_and_a_rerun_changes_nothing(tiny_job, spar):
    job = tiny_job(**SMALL, synth=WRITTEN, limits={"queries": 900, "prices": {"thousand_queries": 2.0}})
    folder = spar(job)
    found = summary(folder)
    assert found["stopped"]["limit"] == "queries"
    assert queried(folder) <= found["costs"]["queries"] <= 900, "with what warm-up and twins ask"
    assert len(found["rounds"]) == 1
    assert found["arms"] == {}
    assert found["dataset"]["rows"] > 0
    costs = found["costs"]
    assert costs["money"] == pytest.approx(costs["queries"] / 1000 * 2)
    before = units(folder)
    spar(job)
    again = summary(folder)
    assert units(folder) == before, "nothing was made again"
    (first,), (second,) = found["rounds"], again["rounds"]
    assert {key for key in first if first[key] != second[key]} <= {"seconds"}
    assert again["costs"]["accepted"] == costs["accepted"]


def test_warm_up_and_twins_begin_only_where_the_limit_on_queries_has_room_for_all_they_ask(tiny_job, spar):
    folder = spar(tiny_job(**SMALL, limits={"queries": 50}))
    first = json.loads((folder / "round-00" / "attacker.json").read_text())["queries"]
    assert first == 0, "a warm-up that does not fit asks nothing"
    assert summary(folder)["costs"]["queries"] <= 50
    spar(tiny_job(**SMALL))
    found = summary(folder)
    assert json.loads((folder / "round-00" / "attacker.json").read_text())["queries"] > 50, "nothing of it is kept for good"
    attacks = queried(folder)
    twins = found["costs"]["queries"] - attacks
    assert found["rounds"][0]["benign_twins"]["tried"] > 0 < twins
    (after,) = [e for e in commits(folder) if e["path"].endswith("twins/benign.json")][:1]
    before = sum(e["spent"].get("queries", 0) for e in commits(folder) if e["number"] < after["number"])
    capped = tiny_job(**SMALL, name="capped", limits={"queries": before + after["spent"]["queries"] + 1})
    found = summary(spar(capped))
    assert found["costs"]["queries"] <= before + after["spent"]["queries"] + 1
    assert found["rounds"][0]["benign_twins"] == {"tried": 0, "kept": 0, "blocked": 0, "without": 0}
    assert found["stopped"]["limit"] == "queries"


def commits(folder: pathlib.Path) -> list[dict]:
    found = [json.loads(p.read_text()) | {"number": int(p.stem)} for p in (folder / "commits").glob("*.json")]
    return sorted(found, key=lambda entry: entry["number"])


@pytest.mark.parametrize("wins", [1, 3])
def test_costs_are_given_by_generator_and_by_operator_and_sum_to_the_whole(tiny_job, spar, wins):
    prices = {"models": {"dummy": {"read": 10.0, "written": 30.0}}, "thousand_queries": 2.0}
    folder = spar(tiny_job(**SMALL, synth=WRITTEN, attack__wins=wins, limits={"money": 1e6, "prices": prices}))
    found = summary(folder)
    costs = found["costs"]
    won = [row for p in folder.glob("round-00/outcomes/train-*.parquet") for row in pq.read_table(p).to_pylist()]
    assert all(row["status"] == "success" for row in won if row["further"])
    assert any(row["further"] for row in won) == (wins > 1)
    assert costs["accepted"] == sum((row["status"] == "success") + len(row["further"]) for row in won) > 0
    records = pq.read_table(folder / "round-00/attacks/train-00000.parquet").to_pylist()
    assert len({row["text"] for row in records}) == len(records) == costs["accepted"]
    said = results.from_table(pq.read_table(next(folder.glob("round-00/outcomes/train-*.parquet"))))
    assert results.from_table(results.to_table(said)) == said
    assert found["stopped"] is None
    assert set(costs["by_generator"]) == {"your rows", "dummy"}
    makers, operators = costs["by_generator"].values(), costs["by_operator"].values()
    assert sum(m["accepted"] for m in makers) == costs["accepted"]
    assert sum(m["queries"] for m in makers) == sum(row["queries"] for row in won)
    assert sum(m["money"] for m in makers) == pytest.approx(costs["money"], rel=1e-3)
    assert sum(o["money_each"] * o["accepted"] for o in operators) == pytest.approx(costs["money"], rel=1e-2)
    assert sum(o["accepted"] for o in operators) == pytest.approx(costs["accepted"], abs=0.01)
    assert sum(o["queries"] for o in operators) == pytest.approx(sum(row["queries"] for row in won), rel=1e-3)
    assert costs["by_generator"]["dummy"]["tokens"] == costs["tokens"] > 0
    assert "Cost" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_limit_on_tokens_leaves_the_texts_that_are_paid_for(tiny_job, spar):
    job = tiny_job(**SMALL, rounds=0, retrain="none", synth=WRITTEN, limits={"tokens": 700})
    folder = spar(job)
    found = summary(folder)
    assert found["stopped"]["limit"] == "tokens"
    generated = found["rounds"][0]["generated"]
    assert 0 < generated < 64
    assert found["costs"]["tokens"] >= 700
    spar(job)
    assert summary(folder)["rounds"][0]["generated"] == generated
    more = spar(tiny_job(**SMALL, rounds=0, retrain="none", synth=WRITTEN))
    assert more == folder, "a limit may be raised or lifted: it is the same run"
    assert summary(folder)["stopped"] is None
    assert summary(folder)["rounds"][0]["generated"] == 64


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"seconds": 0.001}, "seconds"),
        ({"gpu_seconds": 0.001, "gpus": 2}, "gpu_seconds"),
        ({"money": 0.0001, "prices": {"gpu_hour": 3600}, "gpus": 1}, "money"),
        ({"least_yield": 1.0, "yield_over": 20}, "yield:synth"),
    ],
    ids=str,
)
def test_every_limit_ends_the_run_with_a_summary_and_a_report(tiny_job, spar, limits, named):
    folder = spar(tiny_job(**SMALL, synth=WRITTEN | {"model": {"kind": "dummy", "benign": 0.5}}, limits=limits))
    assert summary(folder)["stopped"]["limit"] == named
    assert (folder / "report.html").stat().st_size > 5000


def test_money_without_prices_is_the_users_mistake(tiny_job, policy_path):
    from sparring import check

    with pytest.raises(JobError, match="needs `prices`"):
        jobs.load(tiny_job(limits={"money": 5}))
    model = {"kind": "openai", "model": "large", "base_url": "http://localhost:1/v1"}
    with pytest.raises(JobError, match="found none for 'large'"):
        check.check(jobs.load(tiny_job(synth={"model": model}, limits={"money": 5, "prices": {"gpu_hour": 1}})))
