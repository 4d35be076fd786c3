"""Nothing is asked of a model twice, and whatever could change its answer is asked anew."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from sparring.generation import Asked, Told
from sparring.ledger import Ledger
from sparring.protocols import OUT_OF_MEMORY, Brief, Completion, Drawn
from sparring.remembered import Remembered, RememberedImages
from synth.backends.base import Backend
from synth.images import base as images


@dataclasses.dataclass(kw_only=True)
class Counting(Backend):
    """Answers with the number of the call, so that an old answer shows."""

    name = "counting"
    guided = True

    model: str = "m"
    base_url: str = "http://a"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.calls = 0

    def answer(self, asked: Iterator[Asked], told: Told, schema: Any = None) -> None:
        for one in asked:
            self.calls += 1
            told(one.number, Completion(f"{one.user}: call {self.calls}", 3, 7))


class Plain:
    """A text model of somebody else's: no `stream`."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def describe(self) -> dict[str, Any]:
        return {"name": "plain"}

    def complete(self, prompts: Any, *, seed: int) -> list[Completion]:
        self.sizes.append(len(prompts))
        return [Completion(f"{user} {seed}", 1) for _, user in prompts]


class Stub:
    """Counts as the meter does."""

    def __init__(self, stop: Any = lambda: False) -> None:
        self.stop, self.promised, self.charged = stop, 0, 0

    def promise(self, model: str, answer: Completion) -> None:
        self.promised += 1

    def charge(self, model: str, answer: Completion, *, promised: bool) -> None:
        self.promised -= promised
        self.charged += 1


PROMPTS = [("system", f"user {i}") for i in range(10)]


def test_what_was_written_is_not_asked_again_by_another_run(tmp_path):
    with Ledger(tmp_path) as book:
        first = Counting()
        answers = Remembered(first, book).complete(PROMPTS, seed=1)
    with Ledger(tmp_path) as book:
        second = Counting()
        assert Remembered(second, book).complete(PROMPTS, seed=1) == answers
        assert (first.calls, second.calls) == (10, 0)
        more = Remembered(second, book).complete([*PROMPTS, ("system", "new")], seed=1)
        assert (second.calls, more[:10]) == (1, answers)


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ({"settings": {"temperature": 0.1}}, 10),
        ({"settings": {"top_p": 0.5}}, 10),
        ({"settings": {"max_new_tokens": 9}}, 10),
        ({"settings": {"model": "other"}}, 10),
        ({"settings": {"revision": "2"}}, 10),
        ({"settings": {"base_url": "http://b"}}, 10),
        ({"prompts": [("SYSTEM", user) for _, user in PROMPTS]}, 10),
        ({"prompts": [(system, f"{user}!") for system, user in PROMPTS]}, 10),
        ({"prompts": [(f"{system} {user[:4]}", user[5:]) for system, user in PROMPTS]}, 10),
        ({"seed": 2}, 10),
        ({"schema": {"type": "object"}}, 10),
        ({"kind": type("Other", (Counting,), {"__module__": Backend.__module__})}, 10),
        ({"settings": {"licence": "MIT"}}, 10),
        ({}, 0),
    ],
    ids=str,
)
def test_whatever_could_change_an_answer_is_asked_anew(tmp_path, changed, again):
    with Ledger(tmp_path) as book:
        Remembered(Counting(), book).complete(PROMPTS, seed=1)
        model = changed.get("kind", Counting)(**changed.get("settings", {}))
        asked = {"seed": changed.get("seed", 1), "schema": changed.get("schema")}
        Remembered(model, book).complete(changed.get("prompts", PROMPTS), **asked)
        assert model.calls == again


def test_another_version_of_the_engine_or_of_the_code_is_asked_anew(tmp_path, monkeypatch):
    from sparring import remembered

    with Ledger(tmp_path) as book:
        Remembered(Counting(), book).complete(PROMPTS, seed=1)
        changes = ((remembered.refs, "installed", lambda package: "2.0"), (remembered, "source_of", lambda *parts: "changed"))
        for module, place, value in changes:
            monkeypatch.setattr(module, place, value)
            monkeypatch.setattr(Counting, "package", "engine", raising=False)
            model = Counting()
            Remembered(model, book).complete(PROMPTS, seed=1)
            assert model.calls == 10


def test_a_window_ends_when_no_more_may_be_begun_and_what_is_there_is_used(tmp_path):
    with Ledger(tmp_path) as book:
        model, told = Counting(), []
        Remembered(model, book, meter=Stub(lambda: model.calls >= 4)).ahead(PROMPTS, [1] * 10, told=lambda i, a: told.append(i))
        assert (model.calls, told) == (4, [0, 1, 2, 3])
        Remembered(model, book).complete(PROMPTS, seed=1)
        assert model.calls == 10


def test_a_prompt_that_is_there_twice_is_asked_once(tmp_path):
    with Ledger(tmp_path) as book:
        model = Plain()
        found = Remembered(model, book).complete([PROMPTS[0], PROMPTS[1], PROMPTS[0]], seed=1)
        assert [a.text for a in found] == ["user 0 1", "user 1 1", "user 0 1"]
        assert model.sizes == [2]


def test_a_model_without_streaming_is_asked_in_slices(tmp_path):
    with Ledger(tmp_path) as book:
        model = Plain()
        prompts = [("", str(i)) for i in range(150)]
        found = Remembered(model, book).complete(prompts, seed=5)
        assert [a.text for a in found] == [f"{i} 5" for i in range(150)]
        assert model.sizes == [64, 64, 22]


def test_what_custody_refuses_is_in_no_file_and_not_asked_twice_by_one_process(tmp_path, monkeypatch):
    from sparring import remembered

    monkeypatch.setattr(remembered, "is_prohibited", lambda text: "user 3" in text)
    with Ledger(tmp_path) as book:
        model = Counting()
        writer = Remembered(model, book)
        assert writer.complete(PROMPTS, seed=1) == writer.complete(PROMPTS, seed=1)
        assert model.calls == 10
        assert len(book) == 9


def test_what_is_spent_is_told_once_and_only_for_what_was_asked(tmp_path):
    """By the run that asked: after a kill it is counted once, another run that finds it pays nothing."""
    with Ledger(tmp_path) as book:
        killed, again, other = Stub(), Stub(), Stub()
        Remembered(Counting(), book, by="a", meter=killed).ahead(PROMPTS, [1] * 10, told=lambda i, a: None)
        writer = Remembered(Counting(), book, by="a", meter=again)
        writer.ahead(PROMPTS, [1] * 10, told=lambda i, a: None)
        writer.complete(PROMPTS, seed=1)
        writer.complete(PROMPTS, seed=1)
        Remembered(Counting(), book, by="b", meter=other).complete(PROMPTS, seed=1)
    assert (killed.promised, killed.charged) == (10, 0)
    assert (again.promised, again.charged) == (0, 10)
    assert (other.promised, other.charged) == (0, 0)


@dataclasses.dataclass(kw_only=True)
class Drawing(images.Backend):
    """Draws the number of the call, so that an old image shows."""

    name = "drawing"
    package = "numpy"

    size: int = 8
    room: int = 99

    def __post_init__(self) -> None:
        super().__post_init__()
        self.drawn: list[int] = []

    def settings(self) -> dict[str, Any]:
        return {"size": self.size}

    def render(self, briefs, wrap):
        self.drawn += [brief.seed for brief in briefs]
        return [
            Drawn(f"{brief.seed}: {len(self.drawn)}".encode(), self.recipe(brief)) if brief.seed < self.room
            else Drawn(None, self.recipe(brief), OUT_OF_MEMORY if brief.seed == self.room else "safety_checker")
            for brief in briefs
        ]  # fmt: skip


BRIEFS = [Brief("spam", seed, prompt="a stamp") for seed in range(6)]


def test_an_image_is_drawn_once_for_all_runs_of_a_folder(tmp_path):
    with Ledger(tmp_path) as ledger:
        first = RememberedImages(Drawing(), ledger).draw([*BRIEFS[:4], BRIEFS[0]])
    assert first[0] == first[4]
    model = Drawing()
    with Ledger(tmp_path) as ledger:
        again = RememberedImages(model, ledger).draw(BRIEFS)
    assert again[:4] == first[:4]
    assert model.drawn == [4, 5]
    assert [d.image.partition(b":")[0] for d in again] == [str(i).encode() for i in range(6)]


@pytest.mark.parametrize(
    "change",
    [{"seed": 7}, {"label": "benign"}, {"prompt": "another"}, {"start": b"x"}, {"start": b"y", "strength": 0.5}],
    ids=lambda change: "-".join(change),
)
def test_whatever_a_brief_says_is_part_of_the_key(tmp_path, change):
    model = Drawing()
    with Ledger(tmp_path) as ledger:
        RememberedImages(model, ledger).draw([BRIEFS[0], Brief("spam", 0, "a stamp", b"x", 0.5)])
        RememberedImages(model, ledger).draw([dataclasses.replace(BRIEFS[0], **change)])
    assert len(model.drawn) == 3


def test_what_was_blacked_out_stays_so_and_what_found_no_memory_is_tried_again(tmp_path):
    model = Drawing(room=2)
    with Ledger(tmp_path) as ledger:
        first = RememberedImages(model, ledger).draw(BRIEFS[:4])
        assert [d.reason for d in first] == ["", "", OUT_OF_MEMORY, "safety_checker"]
        assert [d.reason for d in RememberedImages(model, ledger).draw(BRIEFS[:4])] == [d.reason for d in first]
    assert model.drawn == [0, 1, 2, 3, 2]


def test_a_generator_of_other_settings_draws_anew(tmp_path):
    other = Drawing(size=9)
    with Ledger(tmp_path) as ledger:
        for model in (Drawing(), other):
            RememberedImages(model, ledger).draw(BRIEFS)
    assert other.drawn == [0, 1, 2, 3, 4, 5]
