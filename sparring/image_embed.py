"""Embedders of images out of vision models: encoded files in, float32 rows of unit length out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from . import refs
from .embed import unit
from .errors import JobError, ReferenceNotFound
from .preprocess import Processor
from .quiet import quiet


class Pretrained:
    """Embeddings of a vision model that transformers saved: CLIP, SigLIP and SigLIP 2, DINOv2 and v3, BLIP, ViT, ConvNeXT, ....

    `model` is a folder or hf://ORG/NAME with weights in safetensors. A model of images and texts gives the vector that it
    compares with texts (BLIP the one in front of that, which all of its checkpoints hold), any other its pooled output, or
    the mean over its tokens where the checkpoint holds no weights of a pooler. Without torchvision: Pillow processors.
    """

    def __init__(
        self, *, model: str, revision: str | None = None, batch_size: int = 32,
        device: Literal["auto", "cpu", "cuda"] = "auto", dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    ):  # fmt: skip
        import torch
        from transformers import AutoModel

        from .targets.encoder import device as found_device

        if batch_size < 1:
            raise JobError(f"image_embedder 'pretrained': expected batch_size of at least 1, got {batch_size}")
        place = refs.resolve(model)
        self.name, self.batch_size = model if revision is None else f"{model}@{revision}", batch_size
        self._processor = Processor(place, revision=revision)
        with quiet(), refs.loading(place, "config.json, model.safetensors and preprocessor_config.json"):
            loaded, told = AutoModel.from_pretrained(
                place, dtype=getattr(torch, dtype), use_safetensors=True, revision=revision, output_loading_info=True
            )
        missing = {key for key in told["missing_keys"] if not key.startswith("text_model.")}
        self._blip = loaded.config.model_type == "blip"
        if self._blip:
            missing -= {key for key in missing if not key.startswith("vision_model.")}
            loaded = loaded.vision_model
        self._pooled = not any("pooler" in key for key in missing)
        if lost := sorted(key for key in missing if "pooler" not in key):
            raise ReferenceNotFound(
                f"{model}: expected the weights of a {type(loaded).__name__}; {len(lost)} are missing, such as {lost[0]}"
            )
        self._model = loaded.to(found_device(device, "image_embedder 'pretrained'")).eval()
        self.dim = len(self._vectors(self._processor([_blank()]))[0])

    def __repr__(self) -> str:
        return f"Pretrained(model={self.name!r}, batch_size={self.batch_size})"

    def encode(self, images: Sequence[bytes]) -> np.ndarray:
        """(n, dim) float32. Raises `DataError` for a file that can't be read, with its row."""
        out = np.zeros((len(images), self.dim), np.float32)
        for start in range(0, len(images), self.batch_size):
            stop = start + self.batch_size
            out[start:stop] = self._vectors(self._processor(images[start:stop], first=start))
        return unit(out)

    def _vectors(self, inputs: dict[str, Any]) -> np.ndarray:
        import torch

        model = self._model
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
        given = {name: value.to(model.device) for name, value in inputs.items()}
        with torch.inference_mode():
            found = model.get_image_features(**given) if hasattr(model, "get_image_features") else model(**given)
        pooled = getattr(found, "pooler_output", None) if self._pooled else None
        if pooled is None:
            last = found.last_hidden_state
            pooled = last.flatten(2).mean(2) if last.ndim == 4 else last.mean(1)
        return pooled.float().flatten(1).cpu().numpy()


def _blank() -> bytes:
    from .vision import png

    return png(np.full((64, 64, 3), 255, np.uint8))
