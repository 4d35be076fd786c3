"""What an image shows, in words: captions by BLIP, through transformers' Pillow processor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from . import refs
from .errors import JobError
from .preprocess import Processor
from .quiet import quiet

HOLDS = "config.json, model.safetensors, preprocessor_config.json and a tokenizer"


class Captioner:
    """BLIP's caption of an encoded file (Li et al. 2022, https://arxiv.org/abs/2201.12086), greedily, so the same each time.

    `model` is a folder or hf://ORG/NAME of a `BlipForConditionalGeneration`, weights in safetensors; a caption goes on from
    `prompt`. Without torchvision. Raises `ReferenceNotFound` for a model that cannot be loaded.
    """

    def __init__(
        self, *, model: str, revision: str | None = None, prompt: str = "", max_new_tokens: int = 30, batch_size: int = 8,
        device: Literal["auto", "cpu", "cuda"] = "auto", dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    ):  # fmt: skip
        import torch
        from transformers import AutoTokenizer, BlipForConditionalGeneration

        from .targets.encoder import device as found_device

        if batch_size < 1 or max_new_tokens < 1:
            raise JobError(f"captions: expected batch_size and max_new_tokens >= 1, got {batch_size} and {max_new_tokens}")
        place = refs.resolve(model)
        self.name, self.prompt = model if revision is None else f"{model}@{revision}", prompt
        self.max_new_tokens, self.batch_size = max_new_tokens, batch_size
        self._processor = Processor(place, revision=revision)
        with quiet(), refs.loading(place, HOLDS):
            self._tokenizer: Any = AutoTokenizer.from_pretrained(place, revision=revision)
            model_of: Any = BlipForConditionalGeneration
            loaded, told = model_of.from_pretrained(
                place, dtype=getattr(torch, dtype), use_safetensors=True, revision=revision, output_loading_info=True
            )
            if lost := sorted(told["missing_keys"]):
                raise ValueError(f"{len(lost)} weights of a captioner are missing, such as {lost[0]}.")
        self._model = loaded.to(found_device(device, "captions")).eval()

    def __repr__(self) -> str:
        return f"Captioner(model={self.name!r}, prompt={self.prompt!r}, max_new_tokens={self.max_new_tokens})"

    def captions(self, images: Sequence[bytes]) -> list[str]:
        """A line for each encoded file, without the prompt. Raises `DataError` for a file that can't be read, with its row."""
        out: list[str] = []
        for start in range(0, len(images), self.batch_size):
            out += self._captions(self._processor(images[start : start + self.batch_size], first=start))
        return out

    def _captions(self, inputs: dict[str, Any]) -> list[str]:
        import torch

        model, tokenizer = self._model, self._tokenizer
        pixels = inputs["pixel_values"].to(model.device, model.dtype)
        given: dict[str, Any] = {}
        if self.prompt:
            rows = tokenizer([self.prompt] * len(pixels), return_tensors="pt")
            given = {name: rows[name].to(model.device) for name in ("input_ids", "attention_mask")}
        with torch.inference_mode(), quiet():
            made = model.generate(
                pixel_values=pixels, **given, max_new_tokens=self.max_new_tokens, do_sample=False, num_beams=1
            )
        said = [" ".join(text.split()) for text in tokenizer.batch_decode(made, skip_special_tokens=True)]
        begun = " ".join(self.prompt.lower().split())
        return [text[len(begun) :].strip() if begun and text.lower().startswith(begun) else text for text in said]
