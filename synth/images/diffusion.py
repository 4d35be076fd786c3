from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import pathlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal

from sparring import refs, vision
from sparring.errors import JobError, MissingExtra
from sparring.protocols import Brief, Drawn
from sparring.quiet import quiet

from .base import Backend, Wrap

PARAMETERS = (
    "steps", "guidance", "negative_prompt", "height", "width", "scheduler", "scheduler_settings", "lora_scale", "inpaint",
    "template", "dtype", "quantise", "call",
)  # fmt: skip


WITHOUT_GPU, MOST = 4, 64  # images at once
_LOG = logging.getLogger(__name__)


def fitting(free: int, one: int) -> int:
    """How many images of `one` byte each fit into half of `free` bytes: the other half is for what guides, and for judges."""
    return max(1, min(MOST, free // 2 // max(1, one)))


@dataclass(kw_only=True)
class Diffusion(Backend):
    """Any text-to-image pipeline of diffusers (SDXL, SD3, FLUX...), from an `hf://` id or a folder; safetensors alone.

    Draws a brief's `prompt`, or `template` with its label; from a `start` by image-to-image, and where `inpaint` names a box
    (left, top, right, bottom, shares of the sides) only that box of it anew. A picture that a safety checker blacks out is an
    outcome without an image, reason "safety_checker".

    `batch_size: auto` draws one image of two steps, and then as many at once as half of a GPU's free memory holds; 4 without
    a GPU. `guidance` None is the pipeline's own; `scheduler` a class of diffusers, built from the pipeline's with
    `scheduler_settings`; `call` holds what else the pipeline takes, such as `true_cfg_scale`. `offload` ("model" or
    "sequential") and `quantise` ("4bit" or "8bit", by bitsandbytes) spare a GPU's memory, `compile` its time. `decoder` is a
    tiny autoencoder for what guides the sampler. On one machine, with the same versions, batch size and threads, the same
    briefs give the same files; another batch may round a pixel otherwise.
    """

    name: ClassVar[str] = "diffusion"
    package: ClassVar[str] = "diffusers"  # another version may draw another image
    guidable: ClassVar[bool] = True

    model: str
    revision: str | None = None
    variant: str | None = None
    batch_size: int | Literal["auto"] = 4  # type: ignore[assignment]
    device: str = "auto"
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    offload: Literal["", "model", "sequential"] = ""
    quantise: Literal["", "4bit", "8bit"] = ""
    compile: bool = False
    scheduler: str | None = None
    scheduler_settings: Mapping[str, Any] = field(default_factory=dict)
    lora: str | None = None
    lora_scale: float = 1.0
    decoder: str | None = None
    steps: int = 28
    guidance: float | None = None
    negative_prompt: str = ""
    template: str = "{}"
    height: int | None = None
    width: int | None = None
    inpaint: tuple[float, float, float, float] | None = None
    call: Mapping[str, Any] = field(default_factory=dict)
    _measured: int | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.batch_size, int):
            super().__post_init__()
        elif self.batch_size != "auto":
            raise JobError(f"diffusion: expected batch_size as a number or auto, got {self.batch_size!r}")
        if self.steps < 1:
            raise JobError(f"diffusion: expected steps of at least 1, got {self.steps}")
        if self.inpaint and not (0 <= self.inpaint[0] < self.inpaint[2] <= 1 and 0 <= self.inpaint[1] < self.inpaint[3] <= 1):
            raise JobError(f"diffusion: expected inpaint as left < right and top < bottom in [0, 1], got {self.inpaint}")
        for reference in (self.model, self.lora, self.decoder):
            refs.resolve(reference) if reference else None  # a model that cannot be had is said at once

    @cached_property
    def _device(self) -> str:
        import torch

        return ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device

    @cached_property
    def _dtype(self) -> str:
        return ("float32" if self._device == "cpu" else "bfloat16") if self.dtype == "auto" else self.dtype

    @cached_property
    def _folder(self) -> pathlib.Path:
        """The model on this disk; one of the hub is fetched, into a folder that bears the name of its commit."""
        place = refs.resolve(self.model)
        if not self.model.startswith("hf://"):
            return pathlib.Path(place)
        from diffusers import DiffusionPipeline

        options = {"revision": self.revision, "variant": self.variant}
        return pathlib.Path(DiffusionPipeline.download(place, use_safetensors=True, **options))

    @cached_property
    def pipeline(self) -> Any:
        """The text-to-image pipeline, on its device, in eval mode."""
        import diffusers
        import torch

        options: dict[str, Any] = {"torch_dtype": getattr(torch, self._dtype), "variant": self.variant}
        if self.quantise:
            options["quantization_config"] = self._quantisation()
        with quiet():
            made = diffusers.AutoPipelineForText2Image.from_pretrained(self._folder, use_safetensors=True, **options)
        made.set_progress_bar_config(disable=True)
        if getattr(made, "watermark", None) is not None:
            made.watermark = None  # on generated images alone it would give them away to a detector
        if self.scheduler:
            kind = getattr(diffusers, self.scheduler, None)
            if kind is None:
                raise JobError(f"diffusion: expected a scheduler of diffusers, got {self.scheduler!r}")
            made.scheduler = kind.from_config(made.scheduler.config, **self.scheduler_settings)
        if self.lora:
            made.load_lora_weights(refs.resolve(self.lora), adapter_name="sparring")
            made.set_adapters(["sparring"], [self.lora_scale])
        if self.offload:
            getattr(made, f"enable_{self.offload}_cpu_offload")(device=self._device)
        elif not self.quantise:
            made.to(self._device)
        if self.compile:
            (getattr(made, "transformer", None) or made.unet).compile_repeated_blocks(fullgraph=True)
        return made

    def _quantisation(self) -> Any:
        from diffusers.quantizers import PipelineQuantizationConfig

        try:
            import bitsandbytes  # noqa: F401
        except ImportError as error:
            raise MissingExtra("quantised diffusion", "bitsandbytes", "gpu") from error
        bits: dict[str, dict[str, Any]] = {
            "4bit": {"load_in_4bit": True, "bnb_4bit_compute_dtype": self._dtype},
            "8bit": {"load_in_8bit": True},
        }
        large = [name for name in ("transformer", "unet", "text_encoder_2", "text_encoder_3") if (self._folder / name).exists()]
        backend = f"bitsandbytes_{self.quantise}"
        return PipelineQuantizationConfig(
            quant_backend=backend, quant_kwargs=bits[self.quantise], components_to_quantize=large
        )  # fmt: skip

    @cached_property
    def _size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        made = self.pipeline
        latent = getattr(made, "default_sample_size", None) or made.unet.config.sample_size
        side = latent * made.vae_scale_factor
        return self.height or side, self.width or side

    @cached_property
    def _variants(self) -> dict[str, Any]:
        import diffusers

        kinds = {"image": diffusers.AutoPipelineForImage2Image, "inpaint": diffusers.AutoPipelineForInpainting}
        made = {"text": self.pipeline} | {name: kind.from_pipe(self.pipeline) for name, kind in kinds.items()}
        for pipe in made.values():
            pipe.set_progress_bar_config(disable=True)
        return made

    @cached_property
    def _decoder(self) -> Any:
        if not self.decoder:
            return self.pipeline.vae
        import torch
        from diffusers import AutoencoderTiny

        tiny = AutoencoderTiny.from_pretrained(refs.resolve(self.decoder), torch_dtype=getattr(torch, self._dtype))
        return tiny.to(self._device).eval()

    def decode(self, latents: Any) -> Any:
        """Latents of the pipeline as (n, 3, h, w) images in [0, 1], differentiable."""
        made, vae, (height, width) = self.pipeline, self._decoder, self._size
        if latents.ndim == 3:  # FLUX: two by two latent pixels a token
            latents = made._unpack_latents(latents, height, width, made.vae_scale_factor)
        scaled = latents / vae.config.scaling_factor + (getattr(vae.config, "shift_factor", None) or 0)
        return (vae.decode(scaled.to(vae.dtype), return_dict=False)[0].float() / 2 + 0.5).clamp(0, 1)

    def settings(self) -> dict[str, Any]:
        said: dict[str, Any] = {name: getattr(self, name) for name in PARAMETERS}
        said |= {"dtype": self._dtype, "height": self._size[0], "width": self._size[1], "revision": self._revision}
        made = self.pipeline.scheduler
        said |= {"scheduler": type(made).__name__, "scheduler_settings": dict(self.scheduler_settings)}
        if self.lora:
            said["lora"] = refs.content(self.lora) or self.lora
        return json.loads(json.dumps(said))

    @cached_property
    def _revision(self) -> str | None:
        return self._folder.name if self.model.startswith("hf://") else refs.content(self.model)

    def describe(self) -> dict[str, Any]:
        public = self.model if "://" in self.model else pathlib.Path(self.model).name
        return super().describe() | {"model": public, "revision": self._revision}

    def rows_at_once(self, brief: Brief) -> int:
        return self._fitting(brief) if self.batch_size == "auto" else self.batch_size

    def _fitting(self, brief: Brief) -> int:
        if self._measured is None:
            import torch

            self._measured = WITHOUT_GPU
            if torch.device(self._device).type == "cuda":
                dataclasses.replace(self, steps=2, compile=False)._probe(self.pipeline, brief)  # what is loaded once stays
                torch.cuda.reset_peak_memory_stats()
                held = torch.cuda.memory_allocated()
                dataclasses.replace(self, steps=2, compile=False)._probe(self.pipeline, brief)
                one = torch.cuda.max_memory_allocated() - held
                torch.cuda.empty_cache()
                self._measured = fitting(torch.cuda.mem_get_info()[0], one)
                _LOG.info("diffusion: %.1f GB an image, batches of %d", one / 1e9, self._measured)
        return self._measured

    def _probe(self, made: Any, brief: Brief) -> None:
        self.__dict__["pipeline"] = made
        self.render([brief], None)

    def kin(self, brief: Brief) -> Hashable:
        return brief.start is not None, brief.strength

    def render(self, briefs: Sequence[Brief], wrap: Wrap | None) -> list[Drawn]:
        import inspect

        import torch

        height, width = self._size
        kind = "text" if briefs[0].start is None else "inpaint" if self.inpaint else "image"
        made = self._variants[kind]
        taken = inspect.signature(made.__call__).parameters
        settings: dict[str, Any] = {
            "prompt": [b.prompt or self.template.replace("{}", b.label) for b in briefs],
            "num_inference_steps": self.steps, "output_type": "np", "height": height, "width": width,
            "generator": [torch.Generator().manual_seed(b.seed) for b in briefs], **self.call,
        }  # fmt: skip
        if self.guidance is not None:
            settings["guidance_scale"] = self.guidance
        if self.negative_prompt:
            settings["negative_prompt"] = [self.negative_prompt] * len(briefs)
        if kind != "text":
            starts = vision.pixels([b.start for b in briefs if b.start], size=(height, width), channels=3)
            # Fewer than one step would be none.
            settings |= {"image": vision.tensor(starts), "strength": max(briefs[0].strength, 1 / self.steps)}
        if kind == "inpaint":
            settings["mask_image"] = self._mask(len(briefs), height, width)
        if wrong := sorted(set(self.call) - set(taken)):
            raise JobError(f"diffusion: {type(made).__name__} takes no {', '.join(wrong)}")
        with self._scheduled(made, briefs, wrap):
            found = made(**{name: value for name, value in settings.items() if name in taken})
        blacked = getattr(found, "nsfw_content_detected", None) or [False] * len(briefs)
        files = vision.rounded(torch.from_numpy(found.images).permute(0, 3, 1, 2))
        return [
            Drawn(None, self.recipe(brief), "safety_checker") if black else Drawn(vision.png(file), self.recipe(brief))
            for brief, black, file in zip(briefs, blacked, files, strict=True)
        ]

    @contextlib.contextmanager
    def _scheduled(self, made: Any, briefs: Sequence[Brief], wrap: Wrap | None) -> Any:
        """Each call has a scheduler of its own, as it came: some keep what they saw in the last one."""
        kept = made.scheduler
        fresh = type(kept).from_config(kept.config)
        made.scheduler = wrap(briefs, fresh, self.decode) if wrap else fresh
        try:
            yield
        finally:
            made.scheduler = kept

    def _mask(self, n: int, height: int, width: int) -> Any:
        import torch

        left, top, right, bottom = self.inpaint or (0.0, 0.0, 1.0, 1.0)
        mask = torch.zeros(n, 1, height, width)
        mask[:, :, round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = 1
        return mask
