"""vLLM on a cluster: `ray.data.llm`, whose engines batch continuously and may span GPUs, fed with our prompts' tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from .. import generation
from ..generation import Asked
from ..protocols import Completion, TextModel

REACH = 65_536  # prompts in one map
BATCH = 64  # prompts of a batch; an engine has several at work


def fits(model: TextModel) -> bool:
    """Whether the model is run by vLLM, and says how."""
    return hasattr(model, "engine_settings") and hasattr(model, "sampling")


def config(model: Any, *, workers: int | None = None) -> Any:
    """What `ray.data.llm` is told: the engine as it is in process, prompts as tokens, nothing rendered anew."""
    from ray.data.llm import vLLMEngineProcessorConfig

    settings = dict(model.engine_settings)
    return vLLMEngineProcessorConfig(
        model_source=settings.pop("model"),
        engine_kwargs={name: value for name, value in settings.items() if value is not None},
        concurrency=(1, workers) if workers else 1,
        batch_size=BATCH,
        max_concurrent_batches=max(2, -(-2 * model.batch_size // BATCH)),
        chat_template_stage=False,
        tokenize_stage=False,
        detokenize_stage=False,
        prepare_multimodal_stage=False,
        log_engine_metrics=False,
    )


def row(model: Any, one: Asked, held: Mapping[str, Any]) -> dict[str, Any]:
    """One prompt as the engine takes it."""
    return {
        "number": one.number,
        "tokenized_prompt": model.ids(one),
        "sampling": json.dumps(model.sampling(one, held.get("schema"))),
    }


def before(row: dict[str, Any]) -> dict[str, Any]:
    """Sampling settings differ from row to row, so they stand as JSON in the data set."""
    return {
        "number": row["number"],
        "tokenized_prompt": row["tokenized_prompt"],
        "sampling_params": json.loads(row["sampling"]),
    }


def after(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "number": row["number"], "text": row["generated_text"], "tokens": row["num_generated_tokens"],
        "read": row["num_input_tokens"],
    }  # fmt: skip


def write(
    model: Any, asked: Iterator[Asked], came: generation.Told, held: Mapping[str, Any], *, connect: Callable[[], Any],
    look: Callable[[Any], None], workers: int | None, stop: Callable[[], bool],
) -> None:  # fmt: skip
    """As `Engine.write`. Within a map nothing can be held back: `stop` is heard between two."""
    from ray.data.llm import build_processor

    ray: Any = connect()
    processor = build_processor(config(model, workers=workers), preprocess=before, postprocess=after)
    while rows := [] if stop() else [row(model, one, held) for one in islice(asked, REACH)]:
        told: set[int] = set()
        found: Any = processor(ray.data.from_items(rows, override_num_blocks=-(-len(rows) // BATCH)))
        for batch in found.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            look(ray)
            for said in batch.to_pylist():
                if said["number"] not in told:
                    told.add(said["number"])
                    came(said["number"], Completion(said["text"], said["tokens"], said["read"]))
