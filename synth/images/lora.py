"""Fine-tunes a large diffusion model on images of the user's own by a LoRA adapter: Stable Diffusion, SDXL, SD3 and FLUX."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sparring import vision
from sparring.errors import DataError, JobError, MissingExtra, SparringError
from sparring.randomness import kept

from .diffusion import Diffusion

ABOUT = "lora.json"  # beside the adapter: what made it


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each of `steps` learns from `batch` images; `rank` is the adapter's."""

    steps: int = 500
    batch: int = 1
    lr: float = 1e-4
    rank: int = 16
    seed: int = 0


def train(
    model: Diffusion, images: Sequence[bytes], labels: Sequence[str], settings: Settings, folder: pathlib.Path, *,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[float]:  # fmt: skip
    """Leaves the adapter, as `Diffusion(lora=...)` reads it, and lora.json in `folder`; returns the loss of each step.

    A prompt is the model's `template` with the label. The model is left with the adapter on it. Raises `JobError` for a kind
    of pipeline that it can't train, `SparringError` where the loss is not finite.
    """
    try:
        import peft
    except ImportError as error:
        raise MissingExtra("LoRA training of diffusion models", "peft", "rl") from error
    import torch

    if len(images) != len(labels) or not images:
        raise DataError(f"expected images and a label for each; got {len(images)} and {len(labels)}")
    made, (height, width), s = model.pipeline, model._size, settings
    predict = _predictor(made)
    core = getattr(made, "transformer", None) or made.unet
    for part in made.components.values():
        if isinstance(part, torch.nn.Module):
            part.requires_grad_(False)
    x = vision.tensor(vision.pixels(images, size=(height, width), channels=3)) * 2 - 1
    losses = []
    with kept():
        torch.manual_seed(s.seed)
        core.add_adapter(
            peft.LoraConfig(r=s.rank, lora_alpha=s.rank, target_modules=["to_q", "to_k", "to_v", "to_out.0"]), "sparring"
        )
        weights = [w for w in core.parameters() if w.requires_grad]
        for weight in weights:
            weight.data = weight.data.float()
        optimiser = torch.optim.AdamW(weights, lr=s.lr)
        generator = torch.Generator().manual_seed(s.seed)
        for step in range(s.steps):
            rows = torch.randint(len(x), (s.batch,), generator=generator)
            with torch.no_grad():
                latents = made.vae.encode(x[rows].to(made.vae.device, made.vae.dtype)).latent_dist.mode()
                shift = getattr(made.vae.config, "shift_factor", None) or 0
                latents = (latents - shift) * made.vae.config.scaling_factor
                prompts = [model.template.replace("{}", labels[int(row)]) for row in rows]
            noise = torch.randn(latents.shape, generator=generator).to(latents)
            loss = predict(latents, noise, prompts, generator)
            if not math.isfinite(loss.item()):
                raise SparringError(f"the loss is {loss.item()} at step {step + 1}. Fix: a smaller learning rate, or bfloat16")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            losses.append(loss.item())
            progress(step + 1, s.steps)
    layers = "transformer_lora_layers" if getattr(made, "transformer", None) else "unet_lora_layers"
    state = peft.get_peft_model_state_dict(core, adapter_name="sparring")
    type(made).save_lora_weights(folder, **{layers: state})
    about = {"model": model.describe()["model"], "revision": model.describe()["revision"], "images": len(images)}
    (folder / ABOUT).write_text(json.dumps(about | asdict(s), indent=1) + "\n", encoding="utf-8")
    return losses


def _predictor(made: Any) -> Callable[[Any, Any, Sequence[str], Any], Any]:
    """The loss of a batch: (latents, noise, prompts, generator) -> scalar."""
    kinds = {"StableDiffusion3": _sd3, "StableDiffusion": _sd, "Flux": _flux}
    name = type(made).__name__
    kind = next((kind for start, kind in kinds.items() if name.startswith(start)), None)
    if kind is None:
        raise JobError(f"LoRA: expected a pipeline of Stable Diffusion, SDXL, SD3 or FLUX; got {name}")

    def loss(latents: Any, noise: Any, prompts: Sequence[str], generator: Any) -> Any:
        import torch

        found, wanted = kind(made, latents, noise, list(prompts), generator)
        return torch.nn.functional.mse_loss(found.float(), wanted.float())

    return loss


def _flow(latents: Any, noise: Any, generator: Any) -> tuple[Any, Any]:
    """The mixture, and its share of noise (n,): middle times more often than the ends (Esser et al. 2024)."""
    import torch

    sigma = torch.sigmoid(torch.randn(len(latents), generator=generator)).to(latents)
    return torch.lerp(latents, noise, sigma.view(-1, 1, 1, 1)), sigma


def _sd(made: Any, latents: Any, noise: Any, prompts: list[str], generator: Any) -> tuple[Any, Any]:
    import torch
    from diffusers import DDPMScheduler

    n, scheduler = len(latents), DDPMScheduler.from_config(made.scheduler.config)
    t = torch.randint(scheduler.config.num_train_timesteps, (n,), generator=generator).to(latents.device)
    mixed, extra = scheduler.add_noise(latents, noise, t), {}
    with torch.no_grad():
        found = made.encode_prompt(
            prompt=prompts, device=latents.device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )  # fmt: skip
    if "XL" in type(made).__name__:
        side = [s * made.vae_scale_factor for s in latents.shape[2:]]
        ids = torch.tensor([[*side, 0, 0, *side]], dtype=latents.dtype, device=latents.device).expand(n, -1)
        extra = {"added_cond_kwargs": {"text_embeds": found[2], "time_ids": ids}}
    predicted = made.unet(mixed, t, encoder_hidden_states=found[0], return_dict=False, **extra)[0]
    flow = scheduler.config.prediction_type == "v_prediction"
    return predicted, scheduler.get_velocity(latents, noise, t) if flow else noise


def _sd3(made: Any, latents: Any, noise: Any, prompts: list[str], generator: Any) -> tuple[Any, Any]:
    import torch

    mixed, sigma = _flow(latents, noise, generator)
    with torch.no_grad():
        embeds, _, pooled, _ = made.encode_prompt(prompts, None, None, do_classifier_free_guidance=False)
    predicted = made.transformer(
        hidden_states=mixed, timestep=sigma * 1000, encoder_hidden_states=embeds, pooled_projections=pooled, return_dict=False
    )[0]
    return predicted, noise - latents


def _flux(made: Any, latents: Any, noise: Any, prompts: list[str], generator: Any) -> tuple[Any, Any]:
    import torch

    mixed, sigma = _flow(latents, noise, generator)
    n, channels, high, wide = latents.shape
    with torch.no_grad():
        embeds, pooled, text_ids = made.encode_prompt(prompts, None)
    ids = made._prepare_latent_image_ids(n, high // 2, wide // 2, latents.device, latents.dtype)
    strength = torch.full((n,), 1.0).to(latents) if made.transformer.config.guidance_embeds else None
    predicted = made.transformer(
        hidden_states=made._pack_latents(mixed, n, channels, high, wide), timestep=sigma, guidance=strength,
        encoder_hidden_states=embeds, pooled_projections=pooled, txt_ids=text_ids, img_ids=ids, return_dict=False,
    )[0]  # fmt: skip
    return predicted, made._pack_latents(noise - latents, n, channels, high, wide)
