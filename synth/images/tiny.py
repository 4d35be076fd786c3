from __future__ import annotations

import copy
import json
import pathlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from sparring import refs, vision
from sparring.errors import JobError, ReferenceNotFound
from sparring.protocols import Brief, Drawn

from .base import Backend, Wrap

ABOUT = "tiny.json"
LEAST = 16  # rows: smaller batches are filled up, since the kernels of a few rows round otherwise than those of many


class Pipeline:
    """A `UNet2DModel` that predicts flow for a class, and its scheduler. `about` holds labels, size, channels and fold.

    A latent is an image in [-1, 1] whose blocks of `fold` x `fold` pixels are channels, at a quarter of the price for 2. The
    last class of the net is "none", for classifier-free guidance (Ho and Salimans 2021).
    """

    def __init__(self, unet: Any, scheduler: Any, about: dict[str, Any]):
        self.unet, self.scheduler, self.about = unet, scheduler, about

    @classmethod
    def new(cls, labels: Sequence[str], *, size: int, channels: int, fold: int, widths: Sequence[int], seed: int) -> Self:
        """With new weights; `size` is the side in pixels."""
        import torch
        from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DModel

        from sparring.randomness import kept

        step = fold * 2 ** (len(widths) - 1)
        if size % step:
            raise JobError(f"tiny: expected a size that {step} divides (fold {fold}, {len(widths)} widths), got {size}")
        with kept():
            torch.manual_seed(seed)
            unet: Any = UNet2DModel(
                sample_size=size // fold, in_channels=channels * fold**2, out_channels=channels * fold**2,
                layers_per_block=1, block_out_channels=tuple(widths), down_block_types=("DownBlock2D",) * len(widths),
                up_block_types=("UpBlock2D",) * len(widths), add_attention=False, norm_num_groups=8,
                num_class_embeds=len(labels) + 1,
            )  # fmt: skip
        about = {"labels": list(labels), "size": size, "channels": channels, "fold": fold}
        return cls(unet.eval(), FlowMatchEulerDiscreteScheduler(), about)

    @classmethod
    def load(cls, folder: pathlib.Path) -> Self:
        from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DModel

        if not (folder / ABOUT).exists():
            raise ReferenceNotFound(f"expected a generator with {ABOUT}, found none. Fix: `sparring synth train` makes one")
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        unet: Any = UNet2DModel.from_pretrained(folder / "unet", use_safetensors=True)
        return cls(unet.eval(), FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"), about)

    def save(self, folder: pathlib.Path) -> None:
        self.unet.save_pretrained(folder / "unet", safe_serialization=True)
        self.scheduler.save_pretrained(folder / "scheduler")
        (folder / ABOUT).write_text(json.dumps(self.about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def encode(self, images: Any) -> Any:
        """(n, c, h, w) in [0, 1] as latents."""
        import torch

        return torch.nn.functional.pixel_unshuffle(images * 2 - 1, self.about["fold"])

    def decode(self, latents: Any) -> Any:
        """Latents as (n, c, h, w) images in [0, 1], differentiable where they are not clipped."""
        import torch

        return (torch.nn.functional.pixel_shuffle(latents, self.about["fold"]) / 2 + 0.5).clamp(0, 1)

    def flow(self, latents: Any, t: Any, classes: Any, guidance: float, *, bfloat16: bool = False) -> Any:
        """The flow from image to noise at time `t`, pushed away from that of no class by `guidance`; 1 is without. float32,
        whatever it was computed in."""
        import torch

        n = len(latents)
        with torch.inference_mode(), torch.autocast(latents.device.type, torch.bfloat16, enabled=bfloat16):
            if guidance == 1:
                return self.unet(latents, t.expand(n), classes).sample.to(latents.dtype, copy=True)
            none = torch.full_like(classes, len(self.about["labels"]))
            both = self.unet(torch.cat([latents, latents]), t.expand(2 * n), torch.cat([classes, none])).sample.to(
                latents.dtype
            )
            return both[n:] + guidance * (both[:n] - both[n:])


@dataclass(kw_only=True)
class Tiny(Backend):
    """A class-conditional flow-matching UNet of some 1.4M parameters that `sparring synth train` made of images of yours.

    `model` is its folder. Draws its labels alone, at its own size, with `steps` Euler steps (Lipman et al. 2023), guided
    within the share `guided_from` to `guided_to` of them alone (Kynkäänniemi et al. 2024), and from an image by SDEdit. The
    same brief gives the same file in every batch of one machine. `dtype` "bfloat16" computes the net in it: twice as fast where
    the processor does so natively (`sparring doctor` says whether), much slower where it does not.
    """

    name: ClassVar[str] = "tiny"
    package: ClassVar[str] = "diffusers"
    guidable: ClassVar[bool] = True
    trainable: ClassVar[bool] = True

    model: str
    steps: int = 12
    guidance: float = 2.0
    guided_from: float = 0.0
    guided_to: float = 1.0
    dtype: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1 or not 0 <= self.guided_from <= self.guided_to <= 1:
            raise JobError("tiny: expected steps >= 1 and 0 <= guided_from <= guided_to <= 1")
        if self.dtype not in ("float32", "bfloat16"):
            raise JobError(f"tiny: expected a dtype of float32 or bfloat16, got {self.dtype!r}")
        refs.resolve(self.model)  # a model that cannot be had is said at once

    @classmethod
    def learn(cls, images: Sequence[bytes], labels: Sequence[str], folder: pathlib.Path, *, seed: int, **training: Any) -> None:
        """Trains a generator on encoded files and leaves it in `folder`; `training` are `training.Settings`."""
        from .training import Settings, train

        train(images, labels, Settings(seed=seed, **training)).pipeline.save(folder)

    @cached_property
    def pipeline(self) -> Pipeline:
        return Pipeline.load(pathlib.Path(refs.resolve(self.model)))

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.pipeline.about["labels"])

    def settings(self) -> dict[str, Any]:
        own: dict[str, Any] = {"steps": self.steps, "guidance": self.guidance}
        if (self.guided_from, self.guided_to) != (0, 1):
            own["guided"] = [self.guided_from, self.guided_to]
        if self.dtype != "float32":
            own["dtype"] = self.dtype
        return own

    def describe(self) -> dict[str, Any]:
        """As every generator, the revision being the hash of the model's files."""
        public = self.model if "://" in self.model else pathlib.Path(self.model).name
        return super().describe() | {"model": public, "revision": refs.content(self.model)}

    def kin(self, brief: Brief) -> Hashable:
        return self._begin(brief)

    def _begin(self, brief: Brief) -> int:
        """The first step that is done: with less noise there are fewer to do."""
        return 0 if brief.start is None else min(self.steps - 1, round(self.steps * (1 - brief.strength)))

    def render(self, briefs: Sequence[Brief], wrap: Wrap | None) -> list[Drawn]:
        import numpy as np
        import torch

        made, n = self.pipeline, len(briefs)
        if wrong := sorted({b.label for b in briefs} - set(self.labels)):
            raise JobError(f"tiny: expected labels out of {', '.join(self.labels)}; got {', '.join(wrong)}")
        briefs = [*briefs, *[briefs[-1]] * (LEAST - n)]
        scheduler, begin = copy.deepcopy(made.scheduler), self._begin(briefs[0])
        scheduler.set_timesteps(sigmas=np.linspace(1, 1 / self.steps, self.steps).tolist())
        scheduler.set_begin_index(begin)
        classes = torch.tensor([self.labels.index(b.label) for b in briefs])
        shape = (made.unet.config.in_channels, *[made.unet.config.sample_size] * 2)
        latents = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(b.seed)) for b in briefs])
        if starts := [b.start for b in briefs if b.start is not None]:
            size = {"size": made.about["size"], "channels": made.about["channels"]}
            clean = made.encode(vision.tensor(vision.pixels(starts, **size)))
            latents = scheduler.scale_noise(clean, scheduler.timesteps[begin : begin + 1], latents)
        if wrap:
            scheduler = wrap(briefs, scheduler, made.decode)
        for i, t in enumerate(scheduler.timesteps[begin:], begin):
            guided = self.guided_from * self.steps <= i < self.guided_to * self.steps
            flow = made.flow(latents, t, classes, self.guidance if guided else 1, bfloat16=self.dtype == "bfloat16")
            latents = scheduler.step(flow, t, latents, return_dict=False)[0]
        files = vision.rounded(made.decode(latents[:n]))
        return [Drawn(vision.png(file), self.recipe(brief)) for file, brief in zip(files, briefs, strict=False)]
