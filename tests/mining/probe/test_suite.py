from __future__ import annotations

import subprocess
import sys
import unicodedata
from collections import Counter

import pytest

from mining.probe import material, suite
from mining.probe.makers import FAMILIES
from sparring import policy, registry
from sparring.custody import is_prohibited
from sparring.errors import JobError, ProhibitedContent, UserError
from sparring.record import from_table, to_table
from sparring.text import canonical, payload

from .conftest import CASES

SCRIPTS = {"hi": "DEVANAGARI", "ar": "ARABIC", "ru": "CYRILLIC"}
USES = {name: "benign" for name in ("negation", "quoting", "reporting", "counter_speech", "mention")}


def by(made: suite.Suite, functionality: str) -> list[suite.Case]:
    return [case for case in made.cases if case.functionality == functionality]


def test_the_same_arguments_give_the_same_cases_in_any_process(spam, spam_material, policy_path):
    made = suite.build(spam, [spam_material], seed=3)
    assert made == suite.build(spam, [spam_material], seed=3)
    other = suite.build(spam, [spam_material], seed=4)
    assert {c.functionality for c in set(other.cases) - set(made.cases)} <= {
        c.functionality for c in made.cases if c.functionality.startswith("spelling_")
    }
    code = (
        "import pathlib, sys; from mining.probe import material, suite; from sparring import policy; "
        "rules, cases = policy.load(sys.argv[1]), pathlib.Path(sys.argv[2]); "
        "print(suite.build(rules, [material.load(cases, rules)], seed=3).content_hash)"
    )
    command = [sys.executable, "-c", code, str(policy_path), str(CASES)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == made.content_hash


def test_every_case_stands_once_passes_custody_and_is_a_record(spam, spam_material):
    made = suite.build(spam, [spam_material])
    records = [case.record for case in made.cases]
    assert len({r.id for r in records}) == len({r.text for r in records}) == len(records) > 250
    assert not any(is_prohibited(r.text) for r in records)
    assert {r.origin for r in records} == {"synthetic"}
    assert from_table(to_table(records, spam.labels)) == records
    assert {r.clause for r in records} == {None, *(clause.id for clause in spam.categories[0].clauses)}


def test_a_pair_is_one_violating_and_one_benign_case_of_one_clause(spam, spam_material):
    pairs: dict[str, list[suite.Case]] = {}
    for case in suite.build(spam, [spam_material]).cases:
        if case.record.pair_id:
            pairs.setdefault(case.record.pair_id, []).append(case)
    assert len(pairs) > 100
    for members in pairs.values():
        assert sorted(case.expected for case in members) == ["benign", "violating"]
        assert len({case.record.clause for case in members}) == 1
    assert {"minimal_edit", "negation", "quoting", "entity_swap_benign"} <= {c.functionality for m in pairs.values() for c in m}


def test_each_functionality_is_there_with_the_label_of_how_it_was_made(spam, spam_material):
    made = suite.build(spam, [spam_material.model_copy(update={"operators": None})])
    expected = {name: {c.expected for c in by(made, name)} for name in {c.functionality for c in made.cases}}
    spelt = {f"spelling_{n}" for n in registry.names("operator") if registry.find("operator", n).family in FAMILIES}
    violating = {"plain", "endorsed", "implicit", "entity_swap", *spelt}
    benign = {"minimal_edit", "entity_swap_benign", "homonym", "look_alike", "named", "reclaimed", *USES}
    assert expected == {name: {"violating"} for name in violating} | {name: {"benign"} for name in benign}


def test_a_spelling_variant_keeps_payload_and_differs_from_its_seed(spam, spam_material):
    made = suite.build(spam, [spam_material.model_copy(update={"operators": None})])
    plain = {c.record.text for c in by(made, "plain")}
    for case in made.cases:
        if case.record.operators:
            (step,) = case.record.operators
            operator = registry.find("operator", step.name)
            assert case.functionality == f"spelling_{step.name}"
            assert case.record.text not in plain
            assert sorted(payload(case.record.text)) in [sorted(payload(text)) for text in plain]
            if operator.undone_by:
                assert canonical(case.record.text, operator.undone_by) in {canonical(t, operator.undone_by) for t in plain}


def test_slots_change_one_at_a_time_and_pairs_change_together(spam, write_cases):
    file = write_cases(
        slots={"a": ["one", "two"], "b": ["red", "blue", "green"]},
        clauses={"spam.prize": {"pairs": [{"violating": "win {a} {b}", "benign": "see {b}"}], "implicit": ["{b} {other}"[:3]]}},
    )
    made = suite.build(spam, [material.load(file, spam)])
    assert [c.record.text for c in by(made, "entity_swap")] == ["win two red", "win one blue", "win one green"]
    assert [c.record.text for c in by(made, "entity_swap_benign")] == ["see blue", "see green"]
    assert [c.record.text for c in by(made, "implicit")] == ["red", "blue", "green"]
    pair = {c.record.pair_id: c.record.text for c in by(made, "entity_swap_benign")}
    assert [pair.get(c.record.pair_id) for c in by(made, "entity_swap")] == [None, "see blue", "see green"]


def test_what_the_policy_decides_is_skipped_and_counted_until_it_is_said(spam, write_cases):
    own = {"functionality": "sarcasm", "text": "Oh great, spam.", "expect": "policy", "clause": "spam.offer"}
    silent = suite.build(spam, [material.load(write_cases(clauses={"spam.prize": {"terms": ["prize"]}}, cases=[own]), spam)])
    assert {c.expected for c in silent.cases} == {"violating"}
    count = Counter(skip.functionality for skip in silent.skipped if "the policy decides" in skip.reason)
    frames = material.shipped("en").frames
    seeds = len(spam.categories[0].examples)
    assert count == {
        **{name: seeds * len(frames[name]) for name in frames},
        "mention": 3,
        "named": 2,
        "reclaimed": 2,
        "sarcasm": 1,
    }
    said = material.load(write_cases(uses={**USES, "sarcasm": "benign", "reporting": "violating"}, cases=[own]), spam)
    made = suite.build(spam, [said])
    assert [c.expected for c in by(made, "sarcasm")] == ["benign"]
    assert {(c.expected, c.record.pair_id) for c in by(made, "reporting")} == {("violating", None)}
    assert all(c.expected == "benign" and c.record.pair_id for c in by(made, "quoting"))
    with pytest.raises(UserError, match="disagree on 'quoting'"):
        suite.build(spam, [said, said.model_copy(update={"uses": {"quoting": "violating"}})])


def test_a_policy_s_own_uses_terms_and_allowed_examples_are_cases_without_a_file(write_policy, write_cases):
    category = {"terms": ["cash {prize}"], "allowed_examples": ["I won the village raffle, come and see."]}
    uses = {"quoting": "benign", "named": "benign", "reclaimed": "benign", "mention": "benign", "counter_speech": "violating"}
    rules = policy.load(write_policy(category=category, uses=uses))
    made = suite.build(rules)
    assert {c.record.text for c in by(made, "allowed")} == {"I won the village raffle, come and see."}
    for use, frames in material.shipped("en").of_terms.items():
        assert [c.record.text for c in by(made, use)] == [f.replace("{term}", "cash {prize}") for f in frames]
    sides = {c.functionality: c.expected for c in made.cases if not c.record.operators}
    benign = {"quoting", "named", "reclaimed", "mention", "allowed"}
    assert sides == dict.fromkeys(benign, "benign") | dict.fromkeys(("plain", "endorsed", "counter_speech"), "violating")
    assert {s.functionality for s in made.skipped if "the policy decides" in s.reason} == {"negation", "reporting"}
    with pytest.raises(UserError, match="disagree on 'quoting'"):
        suite.build(rules, [material.load(write_cases(uses={"quoting": "violating"}), rules)])


def test_any_number_of_languages_by_template(spam, spam_material, write_cases):
    japanese = material.load(
        write_cases("ja.yaml", language="ja", frames={"quoting": [{"use": "「{text}」とあった。", "own": "お知らせ：{text}"}]}),
        spam,
    )
    plain = suite.build(spam, [spam_material, japanese])
    made = suite.build(spam, [spam_material, japanese], languages=["de", "ar", "ja", "en-GB", "de"])
    added = [case for case in made.cases if case not in plain.cases]
    assert len(added) + len(plain.cases) == len(made.cases)
    assert Counter(c.record.language for c in plain.cases) == {"en": len(plain.cases)}
    texts = [c.record.text for c in by(plain, "plain")]
    for language in ("de", "ar", "ja"):
        frames = material.shipped(language).frames if language != "ja" else japanese.frames
        quoted = {f.use.replace("{text}", text) for f in frames["quoting"] for text in texts}
        assert {c.record.text for c in added if c.functionality == "quoting" and c.record.language == language} == quoted
    assert {c.record.language for c in added} == {"de", "ar", "ja"}
    assert {c.functionality for c in added} <= {*USES, "endorsed", "named", "reclaimed"}
    bare = suite.build(spam, languages=["xx"])
    assert {s.reason for s in bare.skipped} >= {"no frames for the language 'xx'; add `frames` to a --cases file"}
    assert len([c for c in suite.build(spam, limit=1, languages=["de"]).cases if c.record.language == "de"]) == 12


def test_frames_are_shipped_alike_for_each_language():
    assert {"en", "de", "es", "fr", "hi", "ar", "it", "pt", "ru"} <= set(material.languages())
    english = material.shipped("en")
    for language in material.languages():
        found = material.shipped(language)
        assert found.language == language
        assert {name: len(f) for name, f in found.frames.items()} == {name: len(f) for name, f in english.frames.items()}
        assert {name: len(f) for name, f in found.of_terms.items()} == {name: len(f) for name, f in english.of_terms.items()}
        texts = [text for frames in found.frames.values() for f in frames for text in (f.use, f.own)]
        texts += [text for frames in found.of_terms.values() for text in frames]
        assert len(set(texts)) == len(texts)
        assert not any(payload(text) or is_prohibited(text) for text in texts)
        letters = {
            unicodedata.name(c).split()[0] for t in texts for c in t.replace("{text}", "").replace("{term}", "") if c.isalpha()
        }
        assert letters == {SCRIPTS.get(language, "LATIN")}


@pytest.mark.parametrize("language", ["de", "es", "fr", "hi", "ar", "it", "pt", "ru", "en-GB"])
def test_a_policy_gets_only_the_frames_of_its_language(language, write_policy, write_cases):
    rules = policy.load(write_policy(language=language))
    made = suite.build(rules, [material.load(write_cases(uses=USES), rules)])
    assert {c.record.language for c in made.cases} == {language}
    seeds = rules.categories[0].examples
    frames = material.shipped(language).frames
    framed = {c.record.text for name in frames for c in by(made, name)}
    assert framed == {f.use.replace("{text}", seed) for uses in frames.values() for f in uses for seed in seeds}
    unknown = {s.functionality for s in made.skipped if s.reason == f"the operator does not know the language {language!r}"}
    english = {f"spelling_{name}" for name in ("digits", "misspelling", "phonetic", "synonym", "texting")}
    assert unknown == (set() if language == "en-GB" else english)


def test_a_language_without_frames_is_said_and_a_file_may_bring_them_or_another_language(write_policy, write_cases):
    rules = policy.load(write_policy(language="ja"))
    bare = suite.build(rules)
    assert {s.reason for s in bare.skipped if s.functionality == "endorsed"} == {
        "no frames for the language 'ja'; add `frames` to a --cases file"
    }
    frames = {"quoting": [{"use": "「{text}」と書いてあった。", "own": "お知らせ：{text}"}]}
    own = material.load(write_cases("ja.yaml", uses=USES, frames=frames), rules)
    german = material.load(
        write_cases("de.yaml", language="de", clauses={"spam": {"examples": ["Jetzt gratis anrufen!"]}}), rules
    )
    made = suite.build(rules, [own, german])
    assert {(c.record.language, c.record.text) for c in by(made, "quoting") if "「" in c.record.text} == {
        ("ja", f"「{seed}」と書いてあった。") for seed in rules.categories[0].examples
    }
    assert all("gratis" in c.record.text for c in made.cases if c.record.language == "de" and not c.record.operators)
    assert len([c for c in by(made, "quoting") if c.record.language == "de"]) == 3


@pytest.mark.parametrize("category", [{"never_generate": True}, {"hazard": "cse", "examples": []}])
def test_what_is_never_generated_yields_no_case_and_is_counted(write_policy, write_cases, category):
    rules = policy.load(write_policy(names=("first", "second"), category=category))
    made = suite.build(rules)
    assert {c.category for c in made.cases} == {"second"}
    assert [(s.functionality, s.category) for s in made.skipped if "nothing is generated" in s.reason] == [("all", "first")]
    file = write_cases(clauses={"first.1": {"examples": ["An example."]}})
    case = write_cases("own.yaml", cases=[{"functionality": "own", "text": "A text.", "expect": "benign", "clause": "first"}])
    if rules.categories[0].hazard == "cse":
        for refused in (file, case):
            with pytest.raises(ProhibitedContent):
                material.load(refused, rules)
    else:
        made = suite.build(rules, [material.load(file, rules), material.load(case, rules)])
        assert [c.record.text for c in made.cases if c.category == "first"] == ["A text."], "verbatim, nothing made of it"


def test_thirty_categories(write_policy, write_cases):
    names = tuple(f"kind_{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(30))
    rules = policy.load(write_policy(names=names))
    pairs = {f"{n}.1": {"pairs": [{"violating": f"Pay {n} today.", "benign": f"I paid {n} back."}]} for n in names}
    made = suite.build(rules, [material.load(write_cases(uses=USES, clauses=pairs), rules)], labels=rules.labels[:-1])
    assert {c.category for c in made.cases} == set(names[:-1])
    assert [s.category for s in made.skipped if s.reason == "the target does not know this category"] == [names[-1]]
    assert len({c.record.id for c in made.cases}) == len(made.cases) > 29 * 60
    limited = suite.build(rules, [], limit=1)
    assert len(by(limited, "plain")) == 30
    assert sum(s.reason == "left out by --limit" for s in limited.skipped) == 30


def test_one_text_has_one_label_and_a_pair_that_lost_a_member_is_none(spam, write_cases):
    twice = write_cases(clauses={"spam.prize": {"examples": ["Win it."], "look_alikes": ["Wｉn it."]}})
    with pytest.raises(UserError, match="have the same text and two"):
        suite.build(spam, [material.load(twice, spam)])
    again = write_cases(
        clauses={
            "spam.prize": {"examples": ["Win it."], "pairs": [{"violating": "Win it.", "benign": "You will win it back."}]}
        }
    )
    made = suite.build(spam, [material.load(again, spam)])
    (benign,) = by(made, "minimal_edit")
    assert benign.record.pair_id is None
    assert [s.functionality for s in made.skipped if s.reason == "the same text as another case"][:1] == ["plain"]


def test_own_cases_pair_within_their_file(spam, write_cases):
    def own(name: str, *expects: str) -> material.Material:
        cases = [
            {
                "functionality": "own",
                "text": f"{name} {i}",
                "expect": e,
                "clause": "spam.offer",
                "pair": "a",
                "language": "en-IE",
            }
            for i, e in enumerate(expects)
        ]
        return material.load(write_cases(cases=cases), spam)

    files = [own("one", "violating", "benign"), own("two", "violating", "benign"), own("three", "benign", "benign")]
    cases = by(suite.build(spam, files), "own")
    pairs = Counter(c.record.pair_id for c in cases if c.record.pair_id)
    assert sorted(pairs.values()) == [2, 2]
    assert all(c.record.pair_id is None for c in cases if c.record.text.startswith("three"))
    assert {(c.record.language, c.record.clause, c.record.severity) for c in cases} == {("en-IE", "spam.offer", 1)}
    with pytest.raises(UserError, match="expected two of `cases` with the pair 'a', found 1"):
        own("four", "benign")


def test_every_text_of_a_file_and_every_case_is_screened(spam, spam_material, monkeypatch):
    read: list[str] = []
    monkeypatch.setattr(material, "check_text", read.append)
    material.load(CASES, spam)
    assert set(read) == set(spam_material.texts())
    assert len(read) > 40

    def refuse(text: str, said: str) -> bool:
        assert spam.categories[0].definition in said
        return "raffle" in text

    monkeypatch.setattr(suite, "is_prohibited", refuse)
    whole = suite.build(spam, [spam_material])
    refused = [s for s in whole.skipped if s.reason == "refused by the custody screen"]
    assert [s.functionality for s in refused] == ["negation"]
    assert not any("raffle" in c.record.text for c in whole.cases)
    lost = next(c for c in by(whole, "plain") if c.record.text.startswith("You are a winner!"))
    assert lost.record.pair_id is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"clauses": {"spam.price": {}}}, "did you mean 'spam.prize'"),
        ({"clauses": {"spam": {"exampels": []}}}, "did you mean 'examples'"),
        ({"clauses": {"spam": {"examples": ["a {brand}"]}}}, "got {brand}"),
        ({"frames": {"quoting": [{"use": "no place", "own": "{text}"}]}}, "expected {text} once"),
        ({"mentions": ["no place"]}, "expected {term} once in each frame of `mentions`"),
        ({"term_uses": {"named": ["no place"]}}, "expected {term} once in each frame of `named`"),
        ({"uses": {"quoting": "sometimes"}}, "'violating' or 'benign'"),
        ({"cases": [{"functionality": "x", "text": "y", "expect": "spam", "clause": "spam"}]}, "cases.0.expect"),
    ],
)
def test_a_mistake_in_a_users_file_is_named(spam, write_cases, content, said):
    with pytest.raises(UserError) as error:
        material.load(write_cases(**content), spam)
    assert said in str(error.value)


def test_operators_are_chosen_by_name(spam, write_cases):
    made = suite.build(spam, [material.load(write_cases(operators=["leet", "dilution"]), spam)])
    assert {c.functionality for c in made.cases if c.record.operators} == {"spelling_leet"}
    assert {s.reason for s in made.skipped if s.functionality == "spelling_dilution"} == {
        "the operator adds text instead of changing words"
    }
    with pytest.raises(JobError, match="Did you mean 'leet'"):
        suite.build(spam, [material.load(write_cases(operators=["leeet"]), spam)])
