"""Judges of images that read the policy: vision-language models tuned to moderate, asked for the probability of one word."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from sparring import guard, refs, vision
from sparring.errors import JobError, ReferenceNotFound, SparringError
from sparring.metrics import operating_point
from sparring.policy import Category, Policy
from sparring.protocols import Verdict
from sparring.quiet import quiet
from sparring.record import BENIGN
from sparring.targets import encoder
from sparring.verdicts.base import first_tokens

from .criteria import Criterion, Rows

HOLDS = "config.json, model.safetensors, preprocessor_config.json, a tokenizer and chat_template.jinja"


class ImageGuard(Criterion):
    """The model is asked whether an image breaks the rule of its label; the score is the probability that it does.

    Nothing is trained. Each label's threshold lets `max_fpr` of the judge's other rows through, measured on at most `rows` of
    them, and is never below `least`. Images are read by Pillow processors: torchvision is not needed. Authors write
    `processor_of`, `load` and `ask`.
    """

    names = ("label",)
    cost = 110.0

    def __init__(
        self, *, model: str, policy: Policy, revision: str | None = None, max_fpr: float = 0.01, least: float = 0.5,
        rows: int = 400, batch_size: int = 4, device: Literal["auto", "cpu", "cuda"] = "auto",
        dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    ):  # fmt: skip
        if batch_size < 1 or rows < 1 or not 0 <= least <= 1:
            raise JobError(
                f"{self._who}: expected batch_size and rows >= 1 and least in [0, 1]; got {batch_size}, {rows} and {least}"
            )
        self.model, self.policy, self.revision, self.max_fpr, self.least = model, policy, revision, max_fpr, least
        self.rows, self.batch_size, self.device, self.dtype = rows, batch_size, device, dtype
        self.thresholds: dict[str, float] = {}
        self._base = refs.base()

    def __repr__(self) -> str:
        shown = ("model", "revision", "max_fpr", "least", "rows")
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    @property
    def _who(self) -> str:
        return f"judge {type(self).__name__!r}"

    @abstractmethod
    def processor_of(self, place: str) -> Any:
        """What turns Pillow images and a prompt into the model's input."""

    @abstractmethod
    def load(self, place: str, dtype: Any) -> Any:
        """The model."""

    @abstractmethod
    def ask(self, pictures: Sequence[Any], category: Category) -> np.ndarray:
        """(n,) probability that each picture breaks the category's rule."""

    def fit(self, texts: Sequence[Any], labels: Sequence[str], *, groups: Sequence[str] = ()) -> ImageGuard:
        """Sets the thresholds on (encoded file, label) rows. Asks once a row and category."""
        some, truth = list(texts[: self.rows]), np.array(labels[: self.rows])
        for category in self.policy.categories:
            scores = self.scores(some, [category.name] * len(some))
            others = bool((truth != category.name).any())
            point = operating_point(scores, truth == category.name, self.max_fpr) if others else self.least
            self.thresholds[category.name] = max(self.least, point)
        return self

    def scores(self, samples: Sequence[Any], labels: Sequence[str]) -> np.ndarray:
        """(n,) probability that each encoded file breaks the rule of its label."""
        out = np.zeros(len(samples))
        for label in dict.fromkeys(labels):
            rows = [i for i, name in enumerate(labels) if name == label]
            category = self.policy.category(label)
            for start in range(0, len(rows), self.batch_size):
                some = rows[start : start + self.batch_size]
                out[some] = self.ask(list(vision.pictures([samples[i] for i in some])), category)
        return out

    def judge(self, rows: Rows) -> list[Verdict]:
        if not self.thresholds:
            raise SparringError(f"{self._who}: expected thresholds; call fit first")
        out = [Verdict(False, 0.0, "label")] * len(rows)
        asked = [i for i, label in enumerate(rows.labels) if label != BENIGN]
        some = rows.take(asked)
        for i, score in zip(asked, self.scores(some.samples, some.labels).tolist(), strict=True):
            valid = score > self.thresholds[rows.labels[i]]
            out[i] = Verdict(valid, score, "" if valid else "label")
        return out

    @cached_property
    def _model(self) -> Any:
        import torch

        place = refs.resolve(self.model, base=self._base)
        on = encoder.device(self.device, self._who)
        dtype = getattr(torch, self.dtype) if self.dtype != "auto" else torch.float32 if on == "cpu" else torch.bfloat16
        with quiet(), refs.loading(place, HOLDS):
            return self.load(place, dtype).to(on).eval()

    @cached_property
    def _processor(self) -> Any:
        place = refs.resolve(self.model, base=self._base)
        with quiet(), refs.loading(place, HOLDS):
            made = self.processor_of(place)
        if not made.chat_template:
            raise ReferenceNotFound(f"{self.model}: expected a chat template. Fix: a folder with {HOLDS}")
        return made

    def _parts(self, place: str) -> dict[str, Any]:
        """Image processor by Pillow, tokenizer, and what else processor_config.json and the chat template say."""
        from transformers import AutoImageProcessor, AutoTokenizer, ProcessorMixin

        said, _ = ProcessorMixin.get_processor_dict(place, revision=self.revision)
        own: dict[str, Any] = {k: v for k, v in said.items() if not isinstance(v, dict)}
        own["image_processor"] = AutoImageProcessor.from_pretrained(place, backend="pil", revision=self.revision)
        own["tokenizer"] = AutoTokenizer.from_pretrained(place, revision=self.revision, padding_side="left")
        own.setdefault("chat_template", own["tokenizer"].chat_template)
        return own

    def _moved(self, inputs: Any) -> dict[str, Any]:
        model = self._model
        return {k: v.to(model.device, model.dtype) if v.is_floating_point() else v.to(model.device) for k, v in inputs.items()}


class ShieldGemma2(ImageGuard):
    """ShieldGemma 2 is asked whether an image breaks the policy's rule; the score is its probability of Yes against No.

    `model` is a folder or hf://ORG/NAME, such as hf://google/shieldgemma-2-4b-it. See `ImageGuard` for thresholds.
    """

    def processor_of(self, place: str) -> Any:
        from transformers import ShieldGemma2Processor

        return _made(ShieldGemma2Processor, self._parts(place))

    def load(self, place: str, dtype: Any) -> Any:
        from transformers import ShieldGemma2ForImageClassification

        kind: Any = ShieldGemma2ForImageClassification
        return kind.from_pretrained(place, dtype=dtype, use_safetensors=True, revision=self.revision)

    def ask(self, pictures: Sequence[Any], category: Category) -> np.ndarray:
        import torch

        rule = {"asked": guard.shield_gemma(category)}
        inputs = self._processor(images=list(pictures), custom_policies=rule, policies=["asked"], return_tensors="pt")
        with torch.inference_mode():
            return self._model(**self._moved(inputs)).probabilities[:, 0].float().cpu().numpy()


class LlavaGuard(ImageGuard):
    """LlavaGuard is given the policy's rule and begins its answer; the score is its probability of Unsafe against Safe.

    `model` is a folder or hf://ORG/NAME of LLaVA or LLaVA-OneVision weights in the layout of transformers, such as
    hf://AIML-TUDA/LlavaGuard-v1.2-7B-OV-hf. See `ImageGuard` for thresholds.
    """

    def processor_of(self, place: str) -> Any:
        from transformers import AutoConfig, LlavaProcessor

        kind = AutoConfig.from_pretrained(place, revision=self.revision).model_type
        known = {"llava": LlavaProcessor, "llava_onevision": _without_video}
        if kind not in known:
            raise JobError(f"{self._who}: expected a model of the kinds {', '.join(known)}; {self.model} is {kind!r}")
        return _made(known[kind], self._parts(place)) if kind == "llava" else _without_video(self._parts(place))

    def load(self, place: str, dtype: Any) -> Any:
        from transformers import AutoModelForImageTextToText

        return AutoModelForImageTextToText.from_pretrained(place, dtype=dtype, use_safetensors=True, revision=self.revision)

    @cached_property
    def _words(self) -> list[list[int]]:
        return first_tokens(self._processor.tokenizer, ("Unsafe", "Safe"))

    def ask(self, pictures: Sequence[Any], category: Category) -> np.ndarray:
        import torch

        said = [{"type": "image"}, {"type": "text", "text": guard.llava_guard(self.policy, category)}]
        chat = self._processor.apply_chat_template(
            [{"role": "user", "content": said}], tokenize=False, add_generation_prompt=True
        )
        prompts = [chat + guard.LLAVA_BEGUN] * len(pictures)
        inputs = self._processor(images=list(pictures), text=prompts, padding=True, return_tensors="pt")
        with torch.inference_mode():
            last = self._model(**self._moved(inputs), logits_to_keep=1).logits[:, -1].float().softmax(1)
        unsafe, safe = (last[:, one].sum(1) for one in self._words)
        return (unsafe / (unsafe + safe)).cpu().numpy()


def _made(kind: Any, parts: dict[str, Any]) -> Any:
    """A processor with those of the parts that it takes."""
    known = inspect.signature(kind.__init__).parameters
    return kind(**{name: value for name, value in parts.items() if name in known})


def _without_video(parts: dict[str, Any]) -> Any:
    """LLaVA-OneVision's processor for images alone: its reader of videos needs torchvision."""
    from transformers import LlavaOnevisionProcessor, ProcessorMixin

    class WithoutVideo(LlavaOnevisionProcessor):
        def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
            self.num_image_tokens = parts.get("num_image_tokens")
            self.vision_feature_select_strategy = parts.get("vision_feature_select_strategy")
            self.vision_aspect_ratio = parts.get("vision_aspect_ratio", "anyres_max_9")
            for role in ("image", "video"):
                token = getattr(tokenizer, f"{role}_token", None) or parts.get(f"{role}_token", f"<{role}>")
                setattr(self, f"{role}_token", token)
                setattr(self, f"{role}_token_id", tokenizer.convert_tokens_to_ids(token))
            ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    return _made(WithoutVideo, parts)
