"""Tiny random pipelines of every kind, built from their configurations, with tokenizers of single letters."""

from __future__ import annotations

import pathlib
import string
from collections.abc import Callable

import diffusers
import torch
import transformers

SIDE = 32


def build(kind: str, folder: pathlib.Path, *, seed: int = 0) -> None:
    """Writes a pipeline into a folder, as one from the hub would lie there."""
    torch.manual_seed(seed)
    KINDS[kind]().save_pretrained(folder, safe_serialization=True)


def _clip_tokenizer() -> transformers.CLIPTokenizer:
    letters = [*string.ascii_lowercase, *string.digits]
    pieces = ["<|startoftext|>", "<|endoftext|>", *letters, *[f"{letter}</w>" for letter in letters]]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    return transformers.CLIPTokenizer(vocab=vocab, merges=[], model_max_length=16)


def _clip(projection: bool = True) -> transformers.PreTrainedModel:
    config = transformers.CLIPTextConfig(
        vocab_size=74, hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=16, projection_dim=32, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    return (transformers.CLIPTextModelWithProjection if projection else transformers.CLIPTextModel)(config).eval()


def _t5_tokenizer() -> transformers.T5Tokenizer:
    specials = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    letters = [(letter, -3.0) for letter in string.ascii_lowercase + string.digits]
    return transformers.T5Tokenizer(vocab=[*specials, *letters], extra_ids=0, model_max_length=16)


def _t5() -> transformers.PreTrainedModel:
    config = transformers.T5Config(
        vocab_size=48, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, decoder_start_token_id=0
    )  # fmt: skip
    return transformers.T5EncoderModel(config).eval()


def _vae(channels: int, **settings: float) -> diffusers.AutoencoderKL:
    return diffusers.AutoencoderKL(
        block_out_channels=(16, 16), in_channels=3, out_channels=3, latent_channels=channels, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, layers_per_block=1,
        sample_size=SIDE, **settings,
    ).eval()  # fmt: skip


def decoder(folder: pathlib.Path, *, seed: int = 0) -> None:
    """Writes a tiny autoencoder for the latents of `sdxl` and `flux`, as a guide looks through."""
    torch.manual_seed(seed)
    diffusers.AutoencoderTiny(
        encoder_block_out_channels=(16, 16), decoder_block_out_channels=(16, 16), num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1), latent_channels=4,
    ).save_pretrained(folder, safe_serialization=True)  # fmt: skip


def _unet(**settings: object) -> diffusers.UNet2DConditionModel:
    return diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=SIDE // 2, in_channels=4, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4), use_linear_projection=True, norm_num_groups=4, **settings,
    ).eval()  # fmt: skip


def _sdxl() -> diffusers.DiffusionPipeline:
    unet = _unet(
        addition_embed_type="text_time", addition_time_embed_dim=8, transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=80, cross_attention_dim=64,
    )  # fmt: skip
    return diffusers.StableDiffusionXLPipeline(
        vae=_vae(4), text_encoder=_clip(False), text_encoder_2=_clip(), tokenizer=_clip_tokenizer(),
        tokenizer_2=_clip_tokenizer(), unet=unet, scheduler=diffusers.EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading", steps_offset=1
        ),
    )  # fmt: skip


def _sd3() -> diffusers.DiffusionPipeline:
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=SIDE // 2, patch_size=1, in_channels=16, num_layers=2, attention_head_dim=8, num_attention_heads=4,
        caption_projection_dim=32, joint_attention_dim=32, pooled_projection_dim=64, out_channels=16,
    ).eval()  # fmt: skip
    return diffusers.StableDiffusion3Pipeline(
        transformer=transformer, scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_vae(16, scaling_factor=1.5305, shift_factor=0.0609), text_encoder=_clip(), tokenizer=_clip_tokenizer(),
        text_encoder_2=_clip(), tokenizer_2=_clip_tokenizer(), text_encoder_3=_t5(), tokenizer_3=_t5_tokenizer(),
    )  # fmt: skip


def _flux() -> diffusers.DiffusionPipeline:
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8), guidance_embeds=True,
    ).eval()  # fmt: skip
    return diffusers.FluxPipeline(
        transformer=transformer, scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=_vae(4, scaling_factor=0.3611, shift_factor=0.1159), text_encoder=_clip(False), tokenizer=_clip_tokenizer(),
        text_encoder_2=_t5(), tokenizer_2=_t5_tokenizer(),
    )  # fmt: skip


def _checked() -> diffusers.DiffusionPipeline:
    """Stable Diffusion 1 with a safety checker of random weights, whose thresholds are such that it minds everything."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        vision_config=vision | {"image_size": 16, "patch_size": 8, "projection_dim": 16}, projection_dim=16
    )  # fmt: skip
    checker = StableDiffusionSafetyChecker(config).eval()
    checker.concept_embeds_weights.data.fill_(-2.0)
    processor = transformers.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    return diffusers.StableDiffusionPipeline(
        vae=_vae(4), text_encoder=_clip(False), tokenizer=_clip_tokenizer(), unet=_unet(cross_attention_dim=32),
        scheduler=diffusers.DDIMScheduler(steps_offset=1, clip_sample=False), safety_checker=checker,
        feature_extractor=processor,
    )  # fmt: skip


KINDS: dict[str, Callable[[], diffusers.DiffusionPipeline]] = {
    "sdxl": _sdxl, "sd3": _sd3, "flux": _flux, "checked": _checked,
}  # fmt: skip
