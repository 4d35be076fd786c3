from __future__ import annotations

import pathlib

import pytest
import yaml

from sparring import policy
from sparring.errors import PolicyError
from sparring.record import digest

EXAMPLES = sorted((pathlib.Path(__file__).parents[2] / "examples" / "policies").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example_policies_load_and_their_labels_start_with_benign(path):
    found = policy.load(path)
    assert found.labels[0] == "benign"
    assert len(set(found.labels)) == len(found.labels)


def test_the_hash_follows_the_content_and_the_diff_names_what_changed(tmp_path, policy_path):
    old = policy.load(policy_path)
    raw = yaml.safe_load(policy_path.read_text(encoding="utf-8"))
    raw["categories"][0]["definition"] += " Or vote."
    raw["categories"].append({**raw["categories"][0], "name": "scam", "clauses": [{"id": "scam.1", "text": "A trick."}]})
    (tmp_path / "new.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    new = policy.load(tmp_path / "new.yaml")
    assert old.content_hash == policy.load(policy_path).content_hash != new.content_hash
    assert policy.diff(old, old) == []
    assert policy.diff(old, new) == ["+ category scam", "~ category spam: definition"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "Spam!"}, "name"),
        ({"hazard": "zzz"}, "hazard"),
        ({"clauses": []}, "at least 1 item"),
        ({"name": "benign"}, "is taken"),
        ({"exampels": []}, "did you mean 'examples'"),
    ],
)
def test_faults_of_a_category_are_named(tmp_path, policy_path, change, said):
    raw = yaml.safe_load(policy_path.read_text(encoding="utf-8"))
    raw["categories"][0] |= change
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(PolicyError, match=said):
        policy.load(tmp_path / "p.yaml")


def test_child_sexual_exploitation_may_be_classified_and_is_never_generated():
    clause = policy.Clause(id="x", text="Anything of the kind.")
    category = policy.Category(name="cse", hazard="cse", definition="Never made.", clauses=(clause,))
    assert not category.may_generate
    assert not policy.Category(name="a", hazard="ncr", definition="b", clauses=(clause,), never_generate=True).may_generate


def test_what_only_functional_tests_read_changes_the_hash_where_a_policy_has_it(policy_path):
    spam = policy.load(policy_path)
    plain = spam.model_dump(mode="json", exclude={"publish", "uses"})
    for category in plain["categories"]:
        del category["terms"], category["allowed_examples"]
    assert spam.content_hash == digest(plain), "a policy from before these fields keeps its runs"
    said = spam.model_copy(update={"uses": {"quoting": "benign"}})
    assert said.content_hash != spam.content_hash
    assert policy.diff(spam, said) == ["~ uses"]
