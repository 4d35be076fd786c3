"""The whole flow, small: every stage real, a target and an embedder that need no model."""

from __future__ import annotations

import json
import pathlib

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest

from sparring import check, jobs, record, retrain, text
from sparring.errors import JobError
from sparring.protocols import violation_scores
from sparring.targets.dummy import DummyTarget


def published(folder: pathlib.Path) -> datasets.DatasetDict:
    path = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["dataset"]["path"]
    return datasets.load_dataset(path, cache_dir=str(folder / "hf-cache"))


@pytest.fixture
def finished(tiny_job, spar) -> pathlib.Path:
    return spar(tiny_job())


def test_summary_has_every_figure_and_each_its_interval(finished):
    found = json.loads((finished / "summary.json").read_text(encoding="utf-8"))
    assert [r["round"] for r in found["rounds"]] == [0, 1]
    for entry in found["rounds"]:
        for figure in (
            entry["asr_fresh"],
            entry["valid_asr_fresh"],
            *entry["clean"].values(),
            entry["fpr_benign_perturbed"]["mean"],
        ):
            value, low, high, n = figure
            assert 0 <= low <= value <= high <= 1
            assert n > 0
        assert entry["valid_asr_fresh"][0] <= entry["asr_fresh"][0]
        assert entry["queries_per_seed"] <= 20
        assert entry["warmup_queries"] <= 200
    assert found["rounds"][0]["asr_frozen"][0] == 1.0
    assert found["rounds"][0]["promoted"] is None
    assert found["rounds"][1]["promoted"] in (True, False)
    assert set(found["arms"]) == {"ours", "same_data_new_seed", "random_operators", "without_mining"}
    assert np.shape(found["payoff"]) == (2, 2, 4)
    assert found["dataset"]["rows"] == sum(found["dataset"]["splits"].values())


@pytest.mark.parametrize("passing", [0, 1])
def test_the_arms_have_as_many_rows_as_the_target_that_passed_and_not_those_of_rounds_held_back(
    tiny_job, spar, monkeypatch, passing
):
    verdicts = iter([retrain.Gate(number == passing, "as told") for number in range(2)])
    monkeypatch.setattr(retrain, "gate", lambda *sides, max_f1_loss: next(verdicts))
    found = json.loads((spar(tiny_job(rounds=2)) / "summary.json").read_text(encoding="utf-8"))
    rounds, arms = found["rounds"], found["arms"]
    assert rounds[0]["added_rows"] < rounds[1]["added_rows"]
    assert [entry["promoted"] for entry in rounds] == [None, passing == 0, passing == 1]
    assert arms["ours"]["rows"] == rounds[passing]["added_rows"]
    assert arms["same_data_new_seed"]["rows"] == arms["random_operators"]["rows"] == arms["ours"]["rows"]
    assert arms["without_mining"]["rows"] <= arms["ours"]["rows"]


def test_what_is_retrained_may_be_of_other_settings_than_the_first(tiny_job, spar):
    target = {"kind": "sklearn", "features": "embedding", "embedder": "dummy"}
    changes = {"target": target, "retrain__settings": {"head": "kernel", "components": 50}, "attack__folds": 2}
    folder = spar(tiny_job(**changes))
    heads = {
        str(path.parent.relative_to(folder)): json.loads(path.read_text(encoding="utf-8"))["settings"]["head"]
        for path in folder.rglob("target.json")
    }
    assert heads.pop("target") == "linear"
    assert set(heads) >= {
        "round-00/target",
        "round-00/folds/0/target",
        "round-00/folds/1/target",
        "arms/same_data_new_seed/target",
    }
    assert set(heads.values()) == {"kernel"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"retrain": {"settings": {"head": "kernel"}}, "target": {"kind": "sklearn"}},
            "`head: kernel` is for `features: embedding`",
        ),
        ({"retrain": {"settings": {"heads": "kernel"}}, "target": {"kind": "sklearn"}}, "heads"),
        ({"retrain": {"by": "none", "settings": {"C": 1.0}}, "target": {"kind": "sklearn"}}, "leave `by` at `job`"),
    ],
)
def test_wrong_settings_of_a_retraining_are_said_before_any_work(tiny_job, changes, said):
    with pytest.raises(JobError, match=said):
        check.inputs(jobs.load(tiny_job(**changes)))


def test_the_archive_stands_in_the_summary_by_round_and_without_texts(finished):
    found = json.loads((finished / "summary.json").read_text(encoding="utf-8"))
    archive, first, last = found["archive"], *found["rounds"]
    assert archive["axes"] == {"clause": ["spam"], "family": ["character", "dilution"], "language": ["en"]}
    assert archive["cells"]
    assert first["archive"]["coverage"] == archive["coverage"] == len(archive["cells"]) / 2
    assert archive["qd_score"] == pytest.approx(sum(cell["objective"] for cell in archive["cells"]))
    assert first["archive"]["novelty"] == 1.0, "nothing had been found before"
    assert "archive" not in last, "the last round attacks no training seeds"
    assert "coverage" not in found
    table = pq.read_table(finished / "round-00" / "archive" / "part-00000.parquet").to_pylist()
    won = record.from_table(pq.read_table(finished / "round-00" / "attacks" / "train-00000.parquet"))
    assert [row["id"] for row in table] == [r.id for r in won]
    assert {cell["id"] for cell in archive["cells"]} == {row["id"] for row in table if row["elite"]}
    mined = pq.read_table(finished / "round-00" / "mined" / "part-00000.parquet").to_pylist()
    assert {row["detail"].split()[0] for row in mined} <= {f"spam|{name}|en" for name in ("character", "dilution")}
    texts = {row["text"] for row in pq.read_table(finished / "round-00" / "attacks" / "train-00000.parquet").to_pylist()}
    assert not any(text in json.dumps(found, ensure_ascii=False) for text in texts)


def test_held_out_operators_are_measured_and_never_trained_on(tiny_job, spar):
    folder = spar(tiny_job(attack__held_out=["texting", "merge"]))
    found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    for entry in found["rounds"]:
        assert len(entry["valid_asr_held_out"]) == 4
        assert entry["valid_asr_held_out"][3] == entry["valid_asr_fresh"][3], "the same seeds"
    tried = 0
    for shard in folder.rglob("*.parquet"):
        rows = pq.read_table(shard).to_pylist()
        if "operators" not in (rows[0] if rows else {}):
            continue
        names = {step["name"] for row in rows for step in row["operators"] or ()}
        names |= {step["name"] for row in rows for hit in row.get("refused") or () for step in hit["operators"]}
        if shard.stem.startswith("unseen-"):
            assert names <= {"texting", "merge"}, shard
            tried += sum(row["queries"] > 1 for row in rows)
            assert all(row["queries"] <= 20 for row in rows), "the usual budget"
        else:
            assert not names & {"texting", "merge"}, shard
    assert tried > 20
    assert found["held_out"] == ["texting", "merge"]
    assert "valid, unseen" in (folder / "report.html").read_text(encoding="utf-8")


def test_out_of_fold_seeds_are_attacked_on_a_classifier_that_never_saw_their_group(tiny_job, spar, monkeypatch):
    from sparring import results, retrain

    trained, fit = {}, retrain.fit

    def spied(ctx, path, rows, *, seed, **more):
        trained[path] = {r.group for r in rows}
        return fit(ctx, path, rows, seed=seed, **more)

    monkeypatch.setattr(retrain, "fit", spied)
    folder = spar(tiny_job(rounds=2, attack__folds=2, attack__train_seeds=12))
    group = {r["id"]: r["group"] for r in pq.read_table(next(folder.glob("data/*.parquet"))).to_pylist()}
    for number in (0, 1):
        attacked = []
        for fold in (0, 1):
            table = pq.read_table(folder / f"round-0{number}/outcomes/train-{fold}-00000.parquet")
            seeds = [r.seed_id for r in results.from_table(table)]
            seen = trained[f"round-0{number}/folds/{fold}/target"]
            assert seeds
            assert not seen & {group[s] for s in seeds}, "not a row of their groups, made in an earlier round or real"
            assert seen
            attacked += seeds
        assert len(attacked) == len(set(attacked)) == 12
    assert json.loads((folder / "summary.json").read_text())["rounds"][1]["added_rows"] > 0
    with pytest.raises(JobError, match=r"attack\.folds.* over 1 needs a classifier that the job trains"):
        spar(tiny_job(attack__folds=2, retrain="none"))


def test_a_success_and_its_benign_twins_stand_in_a_pair(finished):
    rows = [r for path in (finished / "round-00" / "attacks").glob("*.parquet") for r in pq.read_table(path).to_pylist()]
    won = {r["id"]: r for r in rows if r["label_name"] != "benign"}
    twins = [r for r in rows if r["label_name"] == "benign"]
    assert twins
    assert all(r["pair_id"] == id for id, r in won.items())
    for twin in twins:
        assert [s["name"] for s in twin["operators"]] == [s["name"] for s in won[twin["pair_id"]]["operators"]]
        assert twin["split"] == "train"
    told = json.loads((finished / "summary.json").read_text())["rounds"][0]["benign_twins"]
    assert told["tried"] >= told["kept"] == len(twins)
    assert told["without"] == 0, "every success came of operators"
    said = pq.read_table(finished / "round-00" / "hard_negatives" / "twins-00000.parquet").to_pylist()
    assert [(row["id"], row["pair_id"]) for row in said] == [(t["id"], t["pair_id"]) for t in twins]
    target = DummyTarget.load(finished / "target")
    scores = violation_scores(target, [t["text"] for t in twins])
    np.testing.assert_allclose([row["score"] for row in said], scores, atol=1e-6)
    assert [row["blocked"] for row in said] == (scores > target.threshold).tolist()
    hard = pq.read_table(finished / "round-00" / "hard_negatives" / "part-00000.parquet").to_pylist()
    blocked = {row["id"] for row in said if row["blocked"]}
    assert {r["id"] for r in hard if r["label_name"] == "benign"} == blocked
    assert len(blocked) == told["blocked"] > 0
    assert {r["pair_id"] for r in hard if r["label_name"] == "spam"} == {r["pair_id"] for r in said if r["blocked"]}
    assert all(r == won[r["id"]] for r in hard if r["label_name"] == "spam")
    card = (finished / "round-00" / "dataset" / "README.md").read_text(encoding="utf-8")
    assert f"| benign look-alikes wrongly blocked | {told['blocked']} of {told['kept']} |" in card
    html = (finished / "report.html").read_text(encoding="utf-8")
    assert f"<b>{told['blocked']}</b> <small>of {told['kept']}</small>" in html


def test_the_attack_finds_something_and_the_report_shows_it(finished):
    found = json.loads((finished / "summary.json").read_text(encoding="utf-8"))
    assert found["rounds"][0]["asr_fresh"][0] > 0.2, "a naive Bayes target must fall to dilution, or this test shows nothing"
    html = (finished / "report.html").read_text(encoding="utf-8")
    assert f"{found['rounds'][0]['valid_asr_fresh'][0]:.0%}" in html


def test_published_files_read_back_with_labels_and_lineage(finished):
    found = published(finished)
    rows = [row for split in found.values() for row in split]
    ids = {row["id"] for row in rows}
    assert len(ids) == len(rows)
    names = found["train"].features["label"].names
    assert names == ["benign", "spam"]
    made = [row for row in rows if row["origin"] == "synthetic"]
    assert made
    for row in rows:
        assert names[row["label"]] == row["label_name"]
        assert row["root_ids"], "every row has its lineage"
        assert set(row["root_ids"]) <= ids
    for row in made:
        assert row["generator"]["name"]
        assert row["operators"]


def test_no_group_stands_in_two_splits_of_the_published_files(finished):
    """By the group column, by lineage, and by near duplicates computed anew from the published texts."""
    rows = [(split, row) for split, part in published(finished).items() for row in part]
    split_of = {row["id"]: split for split, row in rows}
    by_group: dict[str, set[str]] = {}
    for split, row in rows:
        assert row["split"] == split
        by_group.setdefault(row["group"], set()).add(split)
        assert {split_of[root] for root in row["root_ids"]} == {split}
    assert all(len(splits) == 1 for splits in by_group.values())
    for level in ("raw", "canonical"):
        texts = [row["text"] if level == "raw" else text.canonical(row["text"], "deobfuscate") for _, row in rows]
        first: dict[int, str] = {}
        for (split, _), group in zip(rows, text.groups(texts), strict=True):
            assert first.setdefault(int(group), split) == split, level


def test_a_rerun_does_nothing_again_and_changes_nothing(tiny_job, spar):
    job = tiny_job()
    folder = spar(job)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*.parquet")}
    commits = len(list((folder / "commits").iterdir()))
    spar(job)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*.parquet")} == before
    assert len(list((folder / "commits").iterdir())) == commits


def test_the_same_job_and_seed_give_the_same_rows_and_ids(tiny_job, spar, tmp_path):
    first, second = spar(tiny_job()), spar(tiny_job(runs=str(tmp_path / "again")))
    shards = sorted(p.relative_to(first) for p in first.rglob("*.parquet"))
    assert len(shards) > 10
    for shard in shards:
        assert pq.read_table(first / shard).equals(pq.read_table(second / shard)), shard


def test_a_changed_job_does_not_take_over_the_folder(tiny_job, spar):
    spar(tiny_job())
    with pytest.raises(JobError, match="attack changed"):
        spar(tiny_job(attack__budget=21))


def test_records_survive_the_way_to_disk_and_back(finished):
    shard = finished / "round-00" / "attacks" / "train-00000.parquet"
    records = record.from_table(pq.read_table(shard))
    assert records
    assert record.to_table(records, ("benign", "spam")).equals(pq.read_table(shard))


def test_a_prohibited_row_is_never_a_seed_and_nothing_is_made_from_it(tiny_job, spar, tmp_path):
    job = tiny_job()
    rows = tmp_path / "rows.csv"
    extra = [
        f"sexual content involving a {age}-year-old number {i} call 0812345678{i % 10},spam\n"
        for i, age in enumerate(range(5, 17))
    ]
    rows.write_text(rows.read_text(encoding="utf-8") + "".join(extra), encoding="utf-8")
    folder = spar(job)
    seen = 0
    for shard in folder.rglob("*.parquet"):
        table = pq.read_table(shard)
        names = {"outcomes": "seed_id", "gate": "seed_id", "arms": "seed_id", "payoff": "seed_id"}
        if (column := next((c for part, c in names.items() if part in shard.parts), None)) and column in table.column_names:
            seen += table.num_rows
            banned = {
                r["id"] for r in pq.read_table(folder / "data" / "part-00000.parquet").to_pylist() if "year-old" in r["text"]
            }
            assert len(banned) == len(extra)
            assert not banned & set(table.column(column).to_pylist()), shard
    assert seen > 100
    made = [row for part in published(folder).values() for row in part if row["origin"] == "synthetic"]
    assert made
    assert not any("year-old" in row["text"] for row in made)


def test_a_challenger_that_the_gate_refuses_does_not_take_over(tiny_job, spar, monkeypatch):
    from sparring import retrain

    asked = []

    def refuse(first, champion, challenger, *, max_f1_loss):
        asked.append((champion, challenger))
        return retrain.Gate(False, "refused by the test")

    monkeypatch.setattr(retrain, "gate", refuse)
    folder = spar(tiny_job(rounds=2))
    found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert [r["promoted"] for r in found["rounds"]] == [None, False, False]
    assert asked[0][0] == asked[1][0], "the champion of both rounds is the first target"
    assert found["rounds"][2]["clean"] == found["rounds"][0]["clean"]
    first = json.loads((folder / "target" / "target.json").read_text(encoding="utf-8"))["threshold"]
    assert {r["threshold"] for r in found["rounds"]} == {round(first, 6)}


def test_the_payoff_is_each_attacker_against_each_target(tiny_job, spar):
    folder = spar(tiny_job())
    found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    for i in (0, 1):
        outcomes = pq.read_table(folder / f"round-{i:02d}" / "outcomes" / "test-00000.parquet").to_pylist()[:10]
        met = [o for o in outcomes if o["status"] in ("survived", "success")]
        own = sum(o["status"] == "success" and o["audit"] for o in met) / len(met)
        assert found["payoff"][i][i][0] == pytest.approx(own, abs=1e-6), "the diagonal is the round's own attack on these seeds"
        other = pq.read_table(folder / "payoff" / f"{i}-{1 - i}-00000.parquet").to_pylist()
        met = [o for o in other if o["status"] in ("survived", "success")]
        assert found["payoff"][i][1 - i][3] == len(met)
        again = {o["seed_id"]: o["clean_score"] for o in outcomes}
        assert any(o["clean_score"] != again[o["seed_id"]] for o in other), "it met the other target"
