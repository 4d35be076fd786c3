from __future__ import annotations

from typing import Any

import numpy as np

from .. import refs
from ..preprocess import Processor
from ..quiet import quiet
from . import encoder
from .fixed import OfImages
from .saved import SavedTarget
from .scores import Scores


class ImagePretrained(OfImages, SavedTarget):
    """An image classifier that transformers saved, as it is: a folder or hf://ORG/NAME, weights in safetensors.

    Images are resized and normalised as the model's own processor says, by its Pillow class: torchvision is not needed.
    Classes, `activation` and `dtype` are as with the text target of this name. Gives gradients where the processor does no
    more than resize, crop, scale and normalise.
    """

    kind = "pretrained"

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._processor: Any = None

    def load_model(self, dtype: Any) -> Any:
        from transformers import AutoModelForImageClassification

        place, revision = self.place, self.settings.revision
        self._processor = Processor(place, revision=revision)
        with quiet(), refs.loading(place, "config.json, model.safetensors and preprocessor_config.json"):
            return AutoModelForImageClassification.from_pretrained(place, dtype=dtype, use_safetensors=True, revision=revision)

    def score(self, images: list[bytes]) -> Scores:
        import torch

        model, size = self._model, self.settings.batch_size
        out = np.zeros((len(images), len(self._classes)), np.float32)
        for start in range(0, len(images), size):
            inputs = self._processor(images[start : start + size], first=start)
            inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
            with torch.inference_mode():
                found = self._forward(**{name: value.to(model.device) for name, value in inputs.items()}).logits
            out[start : start + size] = found.float().cpu().numpy()
        return Scores(self._classes, encoder.activated(out, self._activation))

    def logits(self, images: Any) -> Any:
        """(n, k) of (n, c, h, w) images in [0, 1] of any size and 1 or 3 channels, differentiable."""
        self.check_fitted()
        model = self._model
        moved = self._processor.differentiable(images).to(model.device, model.dtype)
        return self.of_labels(model(pixel_values=moved).logits.float()).to(images.device)
