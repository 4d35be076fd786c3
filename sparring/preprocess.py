"""From encoded files to what a vision model takes: the image processors of transformers, without torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import refs, vision
from .errors import JobError
from .quiet import quiet

LEVELS = 3  # of 255: Pillow rounds to whole values after each of a resize's two passes, a gradient's path does not


class Processor:
    """The image processor that lies beside a model, by its Pillow class; DINOv3's, which has none, step by step in torch.

    `place` is a folder or a hub id. Raises `ReferenceNotFound` where there is none.
    """

    def __init__(self, place: str, *, revision: str | None = None):
        from transformers import AutoImageProcessor, ViTImageProcessorPil
        from transformers.models.auto.image_processing_auto import get_image_processor_config

        with quiet(), refs.loading(place, "config.json, model.safetensors and preprocessor_config.json"):
            given = get_image_processor_config(place, revision=revision)
            self._in_torch = str(given.get("image_processor_type", "")).startswith("DINOv3")
            if self._in_torch:
                self._own: Any = ViTImageProcessorPil(**given)
            else:
                self._own = AutoImageProcessor.from_pretrained(place, backend="pil", revision=revision)
        self._checked = self._in_torch

    def __call__(self, images: Sequence[bytes], *, first: int = 0) -> dict[str, Any]:
        """The model's arguments, as CPU tensors, for encoded files. Raises `DataError` for one that can't be read, with its row
        counted from `first`."""
        import torch

        found = list(vision.pictures(images, first=first))
        if self._in_torch:
            import numpy as np

            rows = [self._moved(vision.tensor(np.array(picture)[None])) for picture in found]
            return {"pixel_values": torch.cat(rows)}
        return dict(self._own(images=found, return_tensors="pt"))

    def differentiable(self, images: Any) -> Any:
        """(n, 3, h, w) input of the model for (n, c, h, w) images in [0, 1] of 1 or 3 channels, by differentiable steps.

        Raises `JobError` for a processor that does something else than resize, crop, scale and normalise.
        """
        if not self._checked:
            self._check()
        return self._moved(images if images.shape[1] == 3 else images.expand(-1, 3, -1, -1))

    def _check(self) -> None:
        """That the steps below are all that this processor does: on soft waves of another phase in each channel, since what
        Pillow clips between a resize's passes is no difference that matters."""
        import numpy as np

        y, x, c = np.meshgrid(np.arange(41) / 9, np.arange(59) / 7, np.arange(3), indexing="ij")
        probe = vision.png((128 + 60 * np.sin(y + c) + 40 * np.cos(x + 2 * c)).astype(np.uint8))
        theirs = self([probe])
        own = self._own
        most = LEVELS * float(own.rescale_factor or 1) / min(own.image_std if own.do_normalize else [1])
        ours = self._moved(vision.tensor(vision.decoded(probe)[None])) if _plain(own) else None
        if ours is None or set(theirs) != {"pixel_values"} or theirs["pixel_values"].shape != ours.shape:
            reason = "does more than that"
        elif float((theirs["pixel_values"] - ours).abs().max()) > most:
            reason = "gives other values"
        else:
            self._checked = True
            return
        raise JobError(
            "gradients: expected an image processor that resizes, crops, scales and normalises; "
            f"{type(own).__name__} {reason}. Fix: an attack without gradients"
        )

    def _moved(self, x: Any) -> Any:
        import torch

        own = self._own
        if own.do_resize:
            x, crop = _resized(x, own)
            x = _cropped(x, *crop) if crop else x
        if getattr(own, "do_center_crop", False):
            x = _cropped(x, own.crop_size["height"], own.crop_size["width"])
        x = x * (255 * own.rescale_factor if own.do_rescale else 255)
        if own.do_normalize:
            mean, std = (
                torch.tensor(v, dtype=x.dtype, device=x.device).view(1, -1, 1, 1) for v in (own.image_mean, own.image_std)
            )
            x = (x - mean) / std
        return x


def _plain(own: Any) -> bool:
    """Whether its size is one that `_resized` knows."""
    if not own.do_resize:
        return True
    size = own.size
    return bool(size and ((size["shortest_edge"] and not size["longest_edge"]) or (size["height"] and size["width"])))


def _resized(x: Any, own: Any) -> tuple[Any, tuple[int, int] | None]:
    """Resized as PilBackend does, and the sides of a crop that belongs to it (ConvNeXt's)."""
    import torch

    size, crop = own.size, None
    edge = size["shortest_edge"]
    if edge and type(own).__name__.startswith("ConvNext"):
        if edge < 384:
            crop, edge = (edge, edge), int(edge / own.crop_pct)
            to = _by_shortest(x, edge)
        else:
            to = (edge, edge)
    else:
        to = _by_shortest(x, edge) if edge else (size["height"], size["width"])
    if tuple(x.shape[2:]) == to:
        return x, crop
    mode = {0: "nearest", 3: "bicubic"}.get(int(own.resample), "bilinear")
    smooth = {"antialias": True} if mode != "nearest" else {}
    return torch.nn.functional.interpolate(x, to, mode=mode, **smooth).clamp(0, 1), crop


def _by_shortest(x: Any, edge: int) -> tuple[int, int]:
    height, width = x.shape[2:]
    return (edge, int(edge * width / height)) if height <= width else (int(edge * height / width), edge)


def _cropped(x: Any, height: int, width: int) -> Any:
    """The middle; what lies outside is black."""
    import torch

    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return torch.nn.functional.pad(x, (-left, width - x.shape[3] + left, -top, height - x.shape[2] + top))
