"""Captions by BLIP: random weights, made here from a configuration, with a tokenizer made here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as t
from PIL import Image

from sparring import registry, vision
from sparring.captions import Captioner
from sparring.errors import DataError, ReferenceNotFound
from sparring.targets import reader

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "a", "picture", "of", "stamp", "cash", "flyer", "blue", "##s"]
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture(scope="module")
def blip(tmp_path_factory):
    """A folder with a captioner of random weights."""
    place = tmp_path_factory.mktemp("blip")
    (place / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    words = {"vocab_size": len(WORDS), "max_position_embeddings": 32, "bos_token_id": 5, "sep_token_id": 3, "eos_token_id": 3,
             "pad_token_id": 0, "encoder_hidden_size": 16, **SMALL}  # fmt: skip
    config = t.BlipConfig(text_config=words, vision_config={"image_size": 24, "patch_size": 8, **SMALL}, projection_dim=12)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = t.BlipForConditionalGeneration(config)
        for weights in model.parameters():
            if weights.ndim > 1:
                torch.nn.init.normal_(weights, std=1.0)
    model.save_pretrained(place)
    t.BlipImageProcessorPil(size={"height": 24, "width": 24}).save_pretrained(place)
    t.BertTokenizerFast(str(place / "vocab.txt")).save_pretrained(place)
    return place


def blocks(seed: int) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return vision.png(np.asarray(Image.fromarray(coarse).resize((30 + seed, 40), Image.Resampling.NEAREST)))


IMAGES = [blocks(i) for i in range(5)]


def test_captions_are_the_models_own_whatever_their_batch_and_what_went_before(blip):
    captioner = Captioner(model=str(blip), batch_size=2, max_new_tokens=6)
    found = captioner.captions(IMAGES)
    assert captioner.captions(IMAGES[::-1])[::-1] == found
    assert len(set(found)) > 1, "all images are called the same: the test shows nothing"
    model, tokenizer = t.BlipForConditionalGeneration.from_pretrained(blip).eval(), t.AutoTokenizer.from_pretrained(blip)
    for image, said in zip(IMAGES, found, strict=True):
        pixels = t.BlipImageProcessorPil.from_pretrained(blip)(list(vision.pictures([image])), return_tensors="pt").pixel_values
        with torch.inference_mode():
            wanted = model.generate(pixel_values=pixels, max_new_tokens=6, do_sample=False, num_beams=1)
        assert said == tokenizer.decode(wanted[0], skip_special_tokens=True).strip()
    assert captioner.captions([]) == []


def test_a_prompt_is_gone_on_from_and_is_no_part_of_the_caption(blip):
    plain = Captioner(model=str(blip), max_new_tokens=6).captions(IMAGES)
    found = Captioner(model=str(blip), max_new_tokens=6, prompt="A picture of").captions(IMAGES)
    assert found != plain
    assert not any(said.startswith("a picture of") for said in found)


def test_what_is_no_captioner_and_what_is_no_image_are_said(blip, tmp_path):
    with pytest.raises(DataError, match="row 1"):
        Captioner(model=str(blip)).captions([IMAGES[0], b"no image"])
    with pytest.raises(ReferenceNotFound, match="expected a transformers model in safetensors"):
        Captioner(model=str(tmp_path))
    with pytest.raises(ReferenceNotFound, match="none"):
        Captioner(model=str(tmp_path / "none"))


def test_a_reader_hands_the_caption_on_behind_what_it_read(blip, monkeypatch):
    monkeypatch.setattr(reader.ocr, "read", lambda image, **_: "")  # these blocks hold no letter; OCR's models are not asked
    texts: list[str] = []

    class Heard:
        trainable = True

        def fit(self, rows, labels, **_):
            texts.extend(rows)
            return self

    target = registry.make("image_target", "reader", caption=str(blip), level="none")
    monkeypatch.setattr(target, "_inner", Heard())
    target.fit(IMAGES, ["benign"] * 5, names=("benign", "spam"), seed=0)
    assert texts == Captioner(model=str(blip)).captions(IMAGES)
    with pytest.raises(ReferenceNotFound, match="nowhere"):
        registry.make("image_target", "reader", caption="nowhere").check(("benign", "spam"))
