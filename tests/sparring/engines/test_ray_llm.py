"""What `ray.data.llm` is told of a model that vLLM runs. No engine runs here: that needs a GPU, or vLLM's build for CPUs."""

from __future__ import annotations

import json
import types

import pytest

from sparring import engines
from sparring.engines import ray_llm
from sparring.generation import Asked
from sparring.protocols import Completion
from synth.backends.dummy import Dummy
from synth.backends.vllm import VLLM


@pytest.fixture
def model(monkeypatch, tmp_path):
    monkeypatch.setattr(VLLM, "check_installed", lambda self: None)
    monkeypatch.setattr(VLLM, "ids", lambda self, one: [len(one.system), len(one.user)])
    return VLLM(model=str(tmp_path), max_new_tokens=9, temperature=0.5, gpus=2, batch_size=128, context=512)


def test_the_engine_is_made_as_in_process_and_renders_nothing(model, tmp_path):
    config = ray_llm.config(model, workers=3)
    assert config.model_source == str(tmp_path)
    settings = model.engine_settings
    told = {name: value for name, value in config.engine_kwargs.items() if name != "task_type"}
    assert told == {name: value for name, value in settings.items() if value is not None and name != "model"}
    assert told["tensor_parallel_size"] == 2
    assert told["max_num_seqs"] == 128
    assert config.concurrency == (1, 3)
    assert config.max_concurrent_batches * config.batch_size >= 2 * model.batch_size
    assert not any((config.chat_template_stage, config.tokenize_stage, config.detokenize_stage))


def test_a_row_holds_the_prompts_own_seed_and_comes_back_under_its_number(model):
    one = Asked(7, "sys", "user", 123)
    row = ray_llm.before(ray_llm.row(model, one, {}))
    assert row == {
        "number": 7, "tokenized_prompt": [3, 4],
        "sampling_params": {"max_tokens": 9, "temperature": 0.5, "top_p": 0.95, "seed": 123},
    }  # fmt: skip
    held = ray_llm.row(model, one, {"schema": {"type": "object"}})
    assert json.loads(held["sampling"])["structured_outputs"] == {"json": {"type": "object"}}
    said = ray_llm.after({"number": 7, "generated_text": "x", "num_generated_tokens": 2, "num_input_tokens": 5, "more": 1})
    assert said == {"number": 7, "text": "x", "tokens": 2, "read": 5}


def test_only_what_vllm_runs_goes_that_way(model):
    assert ray_llm.fits(model)
    assert not ray_llm.fits(Dummy())


def test_answers_are_told_once_and_prompts_stay_when_it_stops(model, monkeypatch):
    """The map itself is played by this process: what Ray makes of the processor is not tested."""
    asked = [Asked(i, "s", "u" * i, i) for i in range(10)]
    handed = []

    class Batches:
        def __init__(self, rows):
            self.rows = rows

        def iter_batches(self, **options):
            answers = [
                ray_llm.after({**ray_llm.before(row), "generated_text": str(row["number"]), "num_generated_tokens": 1,
                               "num_input_tokens": 2}) for row in self.rows
            ]  # fmt: skip
            yield types.SimpleNamespace(to_pylist=lambda: answers)
            yield types.SimpleNamespace(to_pylist=lambda: answers[:2])  # done again after a node was lost

    class Data:
        def from_items(self, rows, *, override_num_blocks):
            handed.append(len(rows))
            return rows

    monkeypatch.setattr("ray.data.llm.build_processor", lambda config, preprocess, postprocess: Batches)
    monkeypatch.setattr(ray_llm, "REACH", 4)
    told: list[tuple[int, Completion]] = []
    ray_llm.write(
        model, iter(asked), lambda number, answer: told.append((number, answer)), {}, workers=None, look=lambda ray: None,
        connect=lambda: types.SimpleNamespace(data=Data()), stop=lambda: len(told) >= 8,
    )  # fmt: skip
    assert handed == [4, 4]
    assert told == [(i, Completion(str(i), 1, 2)) for i in range(8)]
    assert type(engines.current()) is engines.Local
