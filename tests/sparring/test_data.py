from __future__ import annotations

import importlib.util
import pathlib
import sys

import numpy as np
import pytest

from sparring import data, jobs, policy
from sparring.errors import DataError
from sparring.record import SPLITS

ROOT = pathlib.Path(__file__).parents[2]
YARDSTICK = ROOT.parent / "shared" / "yardstick.py"


def load(tmp_path, policy_path, content: bytes, **settings):
    (tmp_path / "rows.csv").write_bytes(content)
    chosen = {"source": "rows.csv", "format": "csv", "labels": {"ham": "benign", "spam": "spam"}} | settings
    return data.load(jobs.DataSettings(**chosen), policy.load(policy_path), base=tmp_path, seed=0)


def rows(n: int = 120) -> bytes:
    words = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima"]
    pick = np.random.default_rng(0)
    return b"text,label\n" + b"".join(
        f"{' '.join(pick.choice(words, 8))} {i},{'spam' if i % 3 == 0 else 'ham'}\n".encode() for i in range(n)
    )


def test_faulty_rows_are_set_apart_with_their_reason_and_the_rest_is_used(tmp_path, policy_path):
    bad = b"\xff\xfe broken,ham\n" + b"a\x00b,ham\n" + b",ham\n" + b"x" * 200_000 + b",spam\n"
    corpus = load(tmp_path, policy_path, rows() + bad, max_bad_rows=0.1)
    assert sorted(r.reason for r in corpus.rejected) == [
        "NUL byte",
        "empty text",
        "invalid UTF-8",
        "longer than 100000 characters",
    ]
    assert len(corpus.records) == 120


def test_too_many_faulty_rows_fail(tmp_path, policy_path):
    with pytest.raises(DataError, match=r"expected at most 1\.0% faulty rows"):
        load(tmp_path, policy_path, rows() + b",ham\n" * 5)


def test_wrong_columns_and_labels_say_what_to_write(tmp_path, policy_path):
    with pytest.raises(DataError, match="expected the columns 'body' and 'label'; found 'text', 'label'"):
        load(tmp_path, policy_path, rows(), text="body")
    with pytest.raises(DataError, match=r"labels:\n +'ham': benign\n +'spam': spam"):
        load(tmp_path, policy_path, rows(), labels=None)


def test_a_label_without_rows_is_said(tmp_path, policy_path):
    with pytest.raises(DataError, match="labelled 'spam', found none"):
        load(tmp_path, policy_path, b"text,label\n" + b"".join(b"good morning %d,ham\n" % i for i in range(9)))


def test_splits_are_those_of_the_yardstick(policy_path):
    if not YARDSTICK.exists():
        pytest.skip("the shared definition file is not beside this checkout")
    spec = importlib.util.spec_from_file_location("yardstick", YARDSTICK)
    yardstick = importlib.util.module_from_spec(spec)
    sys.modules["yardstick"] = yardstick
    spec.loader.exec_module(yardstick)
    texts, labels = yardstick.sms()
    job = jobs.load(ROOT / "examples" / "sms_spam.yaml")
    corpus = data.load(job.data, policy.load(policy_path), base=job.base, seed=0)
    assert [r.text for r in corpus.records] == texts
    assert [int(r.label_name == "spam") for r in corpus.records] == labels.tolist()
    parts = yardstick.split(texts, labels)
    for name in SPLITS:
        assert [r.text for r in corpus.by(name)] == [texts[i] for i in parts[name]]


def test_a_label_too_rare_for_two_judges_is_said_before_any_work(tmp_path, policy_path):
    lines = rows(40).split(b"\n")
    with pytest.raises(DataError, match=r"two judges need at least 2|holds no row labelled"):
        load(tmp_path, policy_path, b"\n".join(lines))
