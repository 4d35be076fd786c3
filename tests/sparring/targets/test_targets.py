"""What every registered target promises; then what those that a job trains promise beyond that."""

from __future__ import annotations

import json
import pathlib
import random
import shutil

import numpy as np
import pytest
import torch

from sparring import embed, registry
from sparring.errors import JobError, TargetFailed
from sparring.protocols import violation_scores
from sparring.targets.base import BaseTarget, TrainableTarget

NAMES = ("benign", "spam", "threat")
WORDS = {"benign": "lunch home bus dinner sleep mum".split(), "spam": "free prize claim cash winner".split()}
ODD = [
    "", " ", "\n\t", "П" * 40, "免费 奖品 🎁🎁", "café e\u0301 \u200b", "\ud800 lone", "free \udfff", "שלום חבר free",
    "\u202eezirp eerf\u202c", "مرحبا prize", "z\u0351\u0363\u0357a\u030a\u0332l" * 20, "\x00 free",
    "free " * 20_000, "x" * 100_000,
]  # fmt: skip


def rows(n: int = 96) -> tuple[list[str], list[str]]:
    """No row is a threat: that label must keep its column all the same."""
    rng = random.Random(0)
    labels = ["spam" if i % 3 == 0 else "benign" for i in range(n)]
    return [" ".join(rng.choice(WORDS[label]) for _ in range(rng.randint(3, 9))) for label in labels], labels


MORE = ("sklearn:embedding", "sklearn:kernel")  # other settings of a registered target
TRAINABLE = [*(name for name in registry.names("target") if registry.find("target", name).trainable), *MORE]
trained_by_the_job = pytest.mark.parametrize("target", TRAINABLE, indirect=True)
with_files = pytest.mark.parametrize(
    "target", [n for n in registry.names("target") if registry.find("target", n).references], indirect=True
)


@pytest.fixture(params=[*registry.names("target"), *MORE])
def target(request, settings_of) -> BaseTarget:
    """A registered target; behind the colon, one with other settings."""
    return registry.make("target", request.param.partition(":")[0], **settings_of(request.param))


@pytest.fixture(scope="session")
def ready_once() -> dict:
    return {}


@pytest.fixture
def ready(target, ready_once) -> BaseTarget:
    """The target as a job would have it: fitted, or told the policy's labels."""
    if repr(target) not in ready_once:
        texts, labels = rows()
        target.check(NAMES)
        trained = isinstance(target, TrainableTarget)
        ready_once[repr(target)] = target.fit(texts, labels, names=NAMES, seed=3) if trained else target.with_labels(NAMES)
    return ready_once[repr(target)]


def test_repr_shows_every_setting(target):
    settings = target.settings.model_dump(mode="json")
    assert {"threshold"} <= settings.keys() == type(target).Settings.model_fields.keys()
    for name, value in settings.items():
        assert f"{name}={value!r}" in repr(target)
    assert type(target)(**json.loads(json.dumps(settings))).settings == target.settings


def test_it_is_registered_under_its_own_name_and_flagged(target):
    found = registry.about("target", target.kind)
    assert registry.find("target", target.kind) is type(target)
    assert ("trainable" in found["flags"]) == isinstance(target, TrainableTarget) == target.trainable
    assert len(found["about"]) > 20


def test_a_setting_that_is_not_there_is_one_clean_line(target, settings_of):
    with pytest.raises(JobError, match=f"target '{target.kind}': unknown key 'treshold'; did you mean 'threshold'") as raised:
        registry.make("target", target.kind, **settings_of(target.kind), treshold=0.5)
    assert "\n" not in str(raised.value)
    with pytest.raises(JobError, match=f"target '{target.kind}': threshold: .*less than or equal to 1; got '2'"):
        registry.make("target", target.kind, **settings_of(target.kind), threshold=2)


def test_a_target_without_labels_says_so(target, tmp_path):
    for use in (lambda: target.predict_proba(["free prize"]), lambda: target.save(tmp_path / "target")):
        with pytest.raises(TargetFailed, match=r"fitted|expected a policy"):
            use()
    assert not (tmp_path / "target").exists()


def test_probabilities_have_the_shape_and_kind_that_callers_rely_on(ready):
    for texts in ([], ["free prize"], rows()[0], ODD):
        p = ready.predict_proba(texts)
        assert p.shape == (len(texts), 3)
        assert p.dtype == np.float32
        assert ((p >= 0) & (p <= 1)).all()
        if ready.trainable:
            np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
        assert violation_scores(ready, texts).shape == (len(texts),)


def test_texts_differ_and_rows_come_back_in_order_whatever_stands_beside_them(ready):
    texts = [*rows()[0], *ODD, "fuck this shit", "kill kill"]
    whole = ready.predict_proba(texts)
    assert len(np.unique(whole[:, 0])) > 2
    assert np.ptp(whole[:, 0]) > 0.2, "a target whose answers hardly differ shows nothing here"
    order = random.Random(1).sample(range(len(texts)), len(texts))
    np.testing.assert_allclose(ready.predict_proba([texts[i] for i in order]), whole[order], atol=1e-5)
    np.testing.assert_allclose(np.concatenate([ready.predict_proba([t]) for t in texts[-64:]]), whole[-64:], atol=1e-5)
    np.testing.assert_array_equal(ready.predict_proba(texts), whole)


def test_a_saved_target_comes_back_the_same(ready, tmp_path):
    folder = tmp_path / "deep" / "target"
    texts = [*rows()[0], *ODD]
    ready.threshold = 0.37
    ready.save(folder)
    back = type(ready).load(folder)
    assert (back.labels, back.threshold, repr(back)) == (ready.labels, 0.37, repr(ready))
    np.testing.assert_array_equal(back.predict_proba(texts), ready.predict_proba(texts))
    assert not [p for p in folder.rglob("*") if p.suffix in (".pkl", ".pickle", ".bin", ".pt", ".joblib")]


@with_files
def test_content_is_that_of_the_files_not_of_their_name(target, settings_of, tmp_path):
    copied = {}
    for name in target.references:
        place = getattr(target.settings, name)
        if place:
            copy = tmp_path / f"moved-{name}"
            (shutil.copytree if pathlib.Path(place).is_dir() else shutil.copyfile)(place, copy)
            copied[name] = str(copy)
    moved = registry.make("target", target.kind, **settings_of(target.kind) | copied)
    before = moved.content()
    assert before == target.content()
    assert all(before.values())
    changed = next(p for p in sorted(tmp_path.rglob("*")) if p.is_file())
    changed.write_bytes(changed.read_bytes() + b" ")
    assert moved.content() != before


@trained_by_the_job
def test_fit_returns_a_new_target_that_has_learnt(target, ready):
    texts, labels = rows()
    assert type(ready) is type(target)
    assert ready is not target
    assert not target.labels
    assert ready.settings == target.settings
    assert ready.labels == NAMES
    p = ready.predict_proba(texts)
    assert [NAMES[i] for i in p.argmax(1)] == labels, "columns stand in the order of `names`, also where one has no rows"


@trained_by_the_job
def test_two_fits_are_equal_and_leave_the_random_state_as_it_was(target, ready):
    texts, labels = rows()
    random.seed(11)
    np.random.seed(11)
    torch.manual_seed(11)
    expected = random.random(), np.random.random(), torch.rand(1).item()
    random.seed(11)
    np.random.seed(11)
    torch.manual_seed(11)
    again = target.fit(texts, labels, names=NAMES, seed=3)
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected
    assert not torch.are_deterministic_algorithms_enabled()
    np.testing.assert_array_equal(again.predict_proba(texts), ready.predict_proba(texts))


def test_it_prints_nothing_and_writes_nothing_here(target, tmp_path, monkeypatch, capfd, recwarn):
    monkeypatch.chdir(tmp_path)
    texts, labels = rows(24)
    trained = isinstance(target, TrainableTarget)
    made = target.fit(texts, labels, names=NAMES, seed=0) if trained else target.with_labels(NAMES)
    made.save(tmp_path / "target")
    type(target).load(tmp_path / "target").predict_proba(ODD)
    assert capfd.readouterr() == ("", "")
    assert not [str(w.message) for w in recwarn if not issubclass(w.category, DeprecationWarning)]
    assert [p.name for p in tmp_path.iterdir()] == ["target"]


def test_an_encoder_that_stays_as_it_is_must_be_registered():
    with pytest.raises(JobError, match=r"target 'sklearn': expected an embedder out of dummy, .* got 'nosuch'"):
        registry.make("target", "sklearn", features="embedding", embedder="nosuch").check(NAMES)
    registry.make("target", "sklearn", embedder="nosuch").check(NAMES)  # words need none


def test_targets_share_one_encoder_and_what_it_was_asked():
    from sparring import embed

    texts, labels = rows()
    fitted = registry.make("target", "sklearn", features="embedding", embedder="dummy").fit(texts, labels, names=NAMES, seed=0)
    assert embed.shared("dummy") is embed.shared("dummy")
    assert set(texts) <= set(embed.shared("dummy")._known)
    assert fitted.predict_proba(texts)[:, 2].max() == 0, "a label without a row"


def test_a_kernel_bends_where_a_plane_cannot(monkeypatch):
    """On a circle, violating in two quadrants that lie opposite each other."""

    class Circle:
        def encode(self, texts):
            angles = np.array([float(text) for text in texts])
            return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)

    monkeypatch.setattr(embed, "shared", lambda name: Circle())
    texts = [str(angle) for angle in np.linspace(0.02, 6.26, 200)]
    violating = np.array([np.sin(2 * float(text)) > 0 for text in texts])
    labels = ["spam" if v else "benign" for v in violating]
    right = {}
    for head in ("linear", "kernel"):
        target = registry.make("target", "sklearn", features="embedding", embedder="dummy", head=head, gamma=2.0)
        fitted = target.fit(texts, labels, names=("benign", "spam"), seed=0)
        right[head] = np.mean((fitted.predict_proba(texts)[:, 1] > 0.5) == violating)
    assert right["kernel"] > 0.97
    assert right["linear"] < 0.6
