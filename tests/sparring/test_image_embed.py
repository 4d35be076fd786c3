"""Embedders of images by transformers' vision models: random weights, made here from configurations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as t
from PIL import Image

from sparring import registry, vision
from sparring.errors import DataError, ReferenceNotFound

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
EYE = {"image_size": 24, "patch_size": 8, **SMALL}
WORDS = {"vocab_size": 30, "max_position_embeddings": 8, **SMALL}
SQUARE = {"height": 24, "width": 24}


def blocks(seed: int, width: int, height: int) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return vision.png(np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST)))


IMAGES = [blocks(i, 24 + 9 * i, 30) for i in range(4)]
FAMILIES = {
    "clip": lambda: (t.CLIPModel(t.CLIPConfig(text_config=WORDS, vision_config=EYE, projection_dim=12)),
                     t.CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size=SQUARE)),
    "siglip": lambda: (t.SiglipModel(t.SiglipConfig(text_config=WORDS, vision_config=EYE)),
                       t.SiglipImageProcessorPil(size=SQUARE)),
    "siglip2": lambda: (t.Siglip2Model(t.Siglip2Config(
        text_config=WORDS, vision_config={"patch_size": 8, "num_patches": 16, **SMALL})),
        t.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=9)),
    "dinov2": lambda: (t.Dinov2Model(t.Dinov2Config(**EYE)),
                       t.BitImageProcessorPil(size={"shortest_edge": 28}, crop_size=SQUARE)),
    "dinov3": lambda: (t.DINOv3ViTModel(t.DINOv3ViTConfig(**EYE)), None),
    "blip": lambda: (t.BlipModel(t.BlipConfig(text_config=WORDS, vision_config=EYE, projection_dim=12)),
                     t.BlipImageProcessorPil(size=SQUARE)),
    "vit": lambda: (t.ViTModel(t.ViTConfig(**EYE)), t.ViTImageProcessorPil(size=SQUARE)),
    "convnext": lambda: (t.ConvNextModel(t.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2)),
                         t.ConvNextImageProcessorPil(size={"shortest_edge": 24})),
}  # fmt: skip
DINOV3 = """{"image_processor_type": "DINOv3ViTImageProcessorFast", "do_resize": true, "do_rescale": true, "do_normalize": true,
"size": {"height": 24, "width": 24}, "resample": 2, "rescale_factor": 0.00392156862745098,
"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}"""


def save(folder, family):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, processor = FAMILIES[family]()
        for p in model.parameters():
            if p.ndim > 1 and p.numel():
                torch.nn.init.normal_(p, std=0.5 / p[0].numel() ** 0.5)
    model.save_pretrained(folder)
    if processor is None:
        (folder / "preprocessor_config.json").write_text(DINOV3, encoding="utf-8")
    else:
        processor.save_pretrained(folder)
    return model.eval(), processor


def made(folder, **settings):
    return registry.make("image_embedder", "pretrained", model=str(folder), **settings)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_are_the_models_own_vectors_of_unit_length_whatever_their_batch(tmp_path, family):
    model, processor = save(tmp_path, family)
    embedder = made(tmp_path, batch_size=3)
    found = embedder.encode(IMAGES)
    assert found.shape == (4, embedder.dim)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(embedder.encode(IMAGES[::-1])[::-1], found, atol=1e-5)
    assert embedder.encode([]).shape == (0, embedder.dim)
    assert (found @ found.T - np.eye(4)).max() < 0.9999, "all images look the same to it: the test shows nothing"

    pictures = list(vision.pictures(IMAGES))
    with torch.inference_mode():
        if processor is None:  # DINOv3: scaled, resized with antialiasing, normalised
            scaled = [torch.nn.functional.interpolate(
                vision.tensor(np.asarray(p)[None]), (24, 24), mode="bilinear", antialias=True) for p in pictures]  # fmt: skip
            mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
            given = {"pixel_values": (torch.cat(scaled) - mean) / std}
        else:
            given = processor(images=pictures, return_tensors="pt")
        if family == "blip":
            own = model.vision_model(**given).pooler_output
        elif hasattr(model, "get_image_features"):
            own = model.get_image_features(**given).pooler_output
        else:
            own = model(**given).pooler_output
    own = torch.nn.functional.normalize(own.flatten(1), dim=1).numpy()
    np.testing.assert_allclose(found, own, atol=1e-4)


def test_a_checkpoint_without_a_pooler_gives_the_mean_of_its_tokens_not_random_numbers(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = t.ViTForImageClassification(t.ViTConfig(**EYE)).eval()
    model.save_pretrained(tmp_path)
    t.ViTImageProcessorPil(size=SQUARE).save_pretrained(tmp_path)
    found = made(tmp_path).encode(IMAGES)
    given = t.ViTImageProcessorPil(size=SQUARE)(images=list(vision.pictures(IMAGES)), return_tensors="pt")
    with torch.inference_mode():
        own = model.vit(**given).last_hidden_state.mean(1)
    np.testing.assert_allclose(found, torch.nn.functional.normalize(own, dim=1).numpy(), atol=1e-4)


def test_a_checkpoint_that_lacks_weights_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    save(tmp_path, "clip")
    weights = load_file(tmp_path / "model.safetensors")
    save_file({k: v for k, v in weights.items() if k != "visual_projection.weight"}, tmp_path / "model.safetensors",
              {"format": "pt"})  # fmt: skip
    with pytest.raises(ReferenceNotFound, match=r"1 are missing, such as visual_projection\.weight"):
        made(tmp_path)


def test_a_file_that_cannot_be_read_is_named_by_its_row(tmp_path):
    save(tmp_path, "vit")
    with pytest.raises(DataError, match="no image that can be read in row 3"):
        made(tmp_path, batch_size=2).encode([*IMAGES[:3], b"no image"])
