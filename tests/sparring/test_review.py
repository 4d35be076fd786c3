from __future__ import annotations

import csv
import json
import pathlib
import shutil

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparring import policy, record, report, results, review
from sparring.errors import DataError, PolicyError, UserError

KEPT: list[pathlib.Path] = []  # one run for all tests; each gets a copy


@pytest.fixture
def run(tiny_job, spar, tmp_path, tmp_path_factory) -> pathlib.Path:
    if not KEPT:
        folder = tmp_path_factory.mktemp("run") / "tiny"
        shutil.copytree(spar(tiny_job()), folder)
        KEPT.append(folder)
    return pathlib.Path(shutil.copytree(KEPT[0], tmp_path / "a-run"))


@pytest.fixture
def sheet(run, tmp_path) -> pathlib.Path:
    review.write_sheet(run, tmp_path / "sheet.csv")
    return tmp_path / "sheet.csv"


def rows(path: pathlib.Path, **how) -> list[dict[str, str]]:
    with open(path, encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream, **how))


def save(path: pathlib.Path, found: list[dict[str, str]], *, encoding: str = "utf-8-sig", **how) -> None:
    with open(path, "w", encoding=encoding, errors="replace", newline="") as stream:
        table = csv.DictWriter(stream, review.COLUMNS, **how)
        table.writeheader()
        table.writerows(found)


def records(run: pathlib.Path, *places: str) -> dict[str, record.Record]:
    places = places or ("data/*.parquet", "round-*/attacks/*.parquet")
    return {r.id: r for place in places for p in sorted(run.glob(place)) for r in record.from_table(pq.read_table(p))}


def ids(run: pathlib.Path, number: int = 0) -> dict[str, str]:
    return json.loads((run / f"review/sheet-{number:05d}.json").read_text())["rows"]


def fill(run: pathlib.Path, sheet: pathlib.Path, judge, **how) -> list[dict[str, str]]:
    """`judge(record)` gives a row's label."""
    known, place = records(run), ids(run)
    found = [row | {"label": judge(known[place[row["key"]]])} for row in rows(sheet)]
    save(sheet, found, **how)
    return found


def truth(r: record.Record) -> str:
    return r.label_name


def labels(run: pathlib.Path) -> list[list[dict[str, str]]]:
    return [pq.read_table(p).to_pylist() for p in sorted(run.glob("review/labels-*.parquet"))]


def test_a_sheet_is_blind_and_three_quarters_of_it_are_made(run, tmp_path):
    n = review.write_sheet(run, tmp_path / "sheet.csv", rows=12)
    assert (tmp_path / "sheet.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    found, known, place = rows(tmp_path / "sheet.csv"), records(run), ids(run)
    assert tuple(found[0]) == ("key", "text", "label", "note")
    assert n == len(found) == len(place) == 12
    shown = [known[place[row["key"]]] for row in found]
    made = [r for r in shown if r.origin == "synthetic"]
    assert len(made) == 9
    assert {r.label_name for r in made} == {"spam"}
    controls = [r for r in shown if r.origin == "real"]
    assert sorted(r.label_name for r in controls) == ["benign", "benign", "spam"]
    assert not {r.id for r in controls} & {root for r in made for root in r.root_ids}, "a seed beside its child tells on it"
    assert [r.origin for r in shown] != sorted(r.origin for r in shown)
    for row, r in zip(found, shown, strict=True):
        assert row["text"] == r.text
        assert row["label"] == row["note"] == ""
        assert r.id not in str(row)
        assert not row["key"].replace("e", "").isdigit(), "a spreadsheet would read a number"


def test_the_same_seed_draws_the_same_sheet_another_seed_another(run, tmp_path):
    names = ("a.csv", "b.csv", "c.csv")
    for name, seed in zip(names, (1, 1, 2), strict=True):
        review.write_sheet(run, tmp_path / name, rows=12, seed=seed)
    first, same, other = ([row["key"] for row in rows(tmp_path / name)] for name in names)
    assert first == same
    assert not set(first) & set(other)
    assert len(list((run / "review").glob("sheet-*.json"))) == 3


def test_the_policy_stands_beside_the_sheet(run, sheet, policy_path):
    guide = sheet.with_name("sheet.csv.policy.md").read_text()
    for category in policy.load(policy_path).categories:
        assert category.name in guide
        assert category.definition.strip() in guide
        assert all(clause.text in guide for clause in category.clauses)
    assert "`benign`, `spam`" in guide


def test_a_person_who_knows_everything_agrees_with_every_record(run, sheet):
    fill(run, sheet, truth)
    found = review.read_sheet(run, sheet, who="Ada")
    made = sum(records(run)[i].origin == "synthetic" for i in ids(run).values())
    assert found.validity == [1.0, 1.0, 1.0, made]
    assert found.control[0] == found.true_positive_rate[0] == 1.0
    assert found.false_positive_rate[0] == 0.0
    assert found.control[3] == found.n - made == found.true_positive_rate[3] + found.false_positive_rate[3]
    assert found.unfilled == 0


def test_agreement_with_the_audit_is_counted_on_the_rows_that_it_judged(run, sheet):
    """The person repeats the audit's verdicts but for three; kappa against scikit-learn's."""
    from sklearn.metrics import cohen_kappa_score

    verdict = {}
    for shard in sorted(run.glob("round-*/outcomes/*.parquet")):
        table = results.from_table(pq.read_table(shard))
        flipped = [i % 3 == 0 for i in range(len(table))]  # this audit passes nearly everything: make it differ
        table = [results.dataclasses.replace(r, audit=r.audit and not f) for r, f in zip(table, flipped, strict=True)]
        pq.write_table(results.to_table(table), shard)
        verdict |= {(int(shard.parts[-3][-2:]), r.seed_id, r.content): r.audit for r in table if r.status == "success"}
    made = [r for r in records(run).values() if r.id in ids(run).values() and r.origin == "synthetic"]
    audit = [verdict[r.round, r.parent_ids[0], r.text] for r in made]
    assert set(audit) == {True, False}
    odd = {r.id for r in made[:3]}
    said = {r.id: a != (r.id in odd) for r, a in zip(made, audit, strict=True)}
    fill(run, sheet, lambda r: r.label_name if said.get(r.id, True) else "benign")
    found = review.read_sheet(run, sheet, who="Ada")
    assert found.with_audit[0] == pytest.approx(1 - 3 / len(made), abs=1e-6)
    assert found.with_audit[3] == len(made)
    assert found.kappa == pytest.approx(cohen_kappa_score(list(said.values()), audit), abs=1e-6)
    assert found.validity[0] == pytest.approx(sum(said.values()) / len(made), abs=1e-6)


def test_generated_rows_are_reviewed_too_and_have_no_audit(run, tmp_path):
    row = record.synthetic(work="written", text="=WIN(cash) now", label_name="spam", policy="spam", policy_version="1.0")
    (run / "round-00/synth").mkdir(exist_ok=True)
    pq.write_table(record.to_table([row], ("benign", "spam")), run / "round-00/synth/part-00000.parquet")
    for shard in run.glob("round-*/attacks/*.parquet"):
        shard.unlink()
    assert review.write_sheet(run, tmp_path / "sheet.csv") == 1
    [found] = rows(tmp_path / "sheet.csv")
    assert found["text"] == "'=WIN(cash) now"
    save(tmp_path / "sheet.csv", [found | {"label": "benign"}])
    agreement = review.read_sheet(run, tmp_path / "sheet.csv", who="Ada")
    assert agreement.validity == [0.0, 0.0, 0.0, 1]
    assert agreement.with_audit is agreement.kappa is agreement.control is None


def test_empty_cells_are_counted_and_kept_out(run, sheet):
    fill(run, sheet, lambda r: "" if r.label_name == "benign" else "spam")
    found = review.read_sheet(run, sheet, who="Ada")
    assert found.unfilled > 0
    assert found.n + found.unfilled == len(rows(sheet))
    assert found.false_positive_rate is None
    assert len(labels(run)[0]) == found.n


def test_a_sheet_that_nobody_filled_keeps_nothing(run, sheet):
    found = review.read_sheet(run, sheet, who="Ada")
    assert found.n == 0
    assert found.validity is found.control is found.kappa is None
    assert labels(run) == []
    assert review.human(run) == {}


def test_reading_twice_adds_a_version_and_the_latest_wins(run, sheet):
    fill(run, sheet, lambda r: "benign")
    review.read_sheet(run, sheet, who="Ada")
    before = (run / "review/labels-00000.parquet").read_bytes()
    fill(run, sheet, lambda r: " Spam ")
    review.read_sheet(run, sheet, who="Ben")
    assert (run / "review/labels-00000.parquet").read_bytes() == before
    old, new = labels(run)
    assert list(old[0]) == ["id", "label_name", "who", "when", "policy_version"]
    assert [row["id"] for row in old] == [row["id"] for row in new]
    assert {row["label_name"] for row in new} == {"spam"}
    assert {row["policy_version"] for row in old + new} == {"1.0"}
    assert max(row["when"] for row in old) < min(row["when"] for row in new)
    assert all(row["when"].endswith("+00:00") for row in old + new)
    human = review.human(run)["human"]
    assert human["name"] == "Ben"
    assert human["rows"] == len(new)
    assert human["validity"][0] == 1.0
    shutil.move(run / "review/labels-00000.parquet", run / "review/labels-00007.parquet")
    assert review.human(run)["human"] == human, "the time counts, not the file's number"


def test_the_summary_and_the_report_can_show_it(run, sheet, tmp_path):
    fill(run, sheet, truth)
    review.read_sheet(run, sheet, who="Ada <script>")
    summary = json.loads((run / "summary.json").read_text())
    summary["judges"] |= review.human(run)
    assert json.loads(json.dumps(summary))["judges"]["human"]["false_positive_rates"]["benign"][0] == 0.0
    report.write_report(summary, [], tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert "human <small>Ada &lt;script&gt;</small>" in html


@pytest.mark.parametrize(
    "how", [{"delimiter": ";"}, {"delimiter": "\t"}, {"quoting": csv.QUOTE_ALL}, {"encoding": "cp1252"}, {"encoding": "utf-8"}]
)
def test_what_spreadsheets_make_of_a_csv_is_read(run, sheet, how):
    """And rows in another order, with an empty one at the end."""
    found = fill(run, sheet, truth)
    save(sheet, [*reversed(found), dict.fromkeys(review.COLUMNS, "")], **how)
    agreement = review.read_sheet(run, sheet, who="Ada")
    assert agreement.validity[0] == agreement.control[0] == 1.0
    assert agreement.n == len(found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: found[4].update(label="scam"), "row 6: 'scam' is no label"),
        (lambda found: found[4].update(key="kffff"), "row 6: the key 'kffff' is of no sheet"),
        (lambda found: found.append(found[0]), "the key '.*' stands twice"),
        (lambda found: found[0].update(text=found[1]["text"]), "row 2: its text belongs to another key"),
    ],
)
def test_a_faulty_sheet_is_refused_whole(run, sheet, change, said):
    found = fill(run, sheet, truth)
    change(found)
    save(sheet, found)
    with pytest.raises(DataError, match=f"labels out of benign, spam .*{said}.*Nothing was kept"):
        review.read_sheet(run, sheet, who="Ada")
    assert labels(run) == []


def test_user_mistakes_get_one_line(run, sheet, tmp_path):
    with pytest.raises(UserError, match="exists and may hold labels"):
        review.write_sheet(run, sheet)
    with pytest.raises(UserError, match="expected a run folder"):
        review.write_sheet(tmp_path / "nowhere", tmp_path / "new.csv")
    with pytest.raises(UserError, match="expected the reviewer's name"):
        review.read_sheet(run, sheet, who=" ")
    with pytest.raises(DataError, match="expected CSV with the columns key, text, label, note; got FileNotFoundError"):
        review.read_sheet(run, tmp_path / "nowhere.csv", who="Ada")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"got KeyError\('key'\)"):
        review.read_sheet(run, tmp_path / "other.csv", who="Ada")
    shutil.rmtree(run / "review")
    with pytest.raises(UserError, match="no sheet was written"):
        review.read_sheet(run, sheet, who="Ada")
    for shard in run.glob("round-*/attacks/*.parquet"):
        shard.unlink()
    with pytest.raises(UserError, match="expected made violating rows, found none"):
        review.write_sheet(run, tmp_path / "new.csv")
    assert not (tmp_path / "new.csv").exists()


def test_only_the_policy_of_the_run_goes_to_the_reviewer(run, tmp_path, policy_path):
    changed = tmp_path / "changed.yaml"
    changed.write_text(policy_path.read_text().replace("prize", "gift"))
    with pytest.raises(UserError, match=r"changed\.yaml is not it"):
        review.write_sheet(run, tmp_path / "a.csv", policy=changed)
    changed.write_text("name: [")
    with pytest.raises(PolicyError):
        review.write_sheet(run, tmp_path / "a.csv", policy=changed)
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"policy": "elsewhere.yaml"}))
    (run / "policy.yaml").unlink()
    with pytest.raises(UserError, match="name the policy file"):
        review.write_sheet(run, tmp_path / "a.csv")
    assert not (run / "review").exists()
    assert review.write_sheet(run, tmp_path / "a.csv", policy=policy_path) > 0
    shutil.copy(policy_path, run / "policy.yaml")
    assert review.write_sheet(run, tmp_path / "b.csv") > 0


@given(st.text("'=+-@＝ \t\nab\"", max_size=8))
def test_no_cell_starts_as_a_formula_and_every_text_comes_back(text):
    cell = review._defused(text)
    assert review._undone(cell) == text
    assert cell.strip()[:1] not in tuple("=+-@＝")
