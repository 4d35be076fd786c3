"""Vision-language models as judges, on random weights: what is asked and how it is read, not how well they judge."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from redteam.judges.image_guard import LlavaGuard, ShieldGemma2
from sparring import guard, registry, vision
from sparring.errors import JobError, ReferenceNotFound, SparringError
from sparring.policy import Policy

RULES = {
    "name": "stamps", "version": "1", "description": "What a stamp may show.", "language": "en",
    "categories": [
        {"name": "withdrawn", "hazard": "other", "hazard_reason": "A stand-in.", "definition": "A stamp that shows an X.",
         "clauses": [{"id": "X", "severity": 1, "text": "An X can be read."}], "allowed": ["An empty stamp."]},
        {"name": "forged", "hazard": "other", "hazard_reason": "A stand-in.", "definition": "A stamp without teeth.",
         "clauses": [{"id": "T", "severity": 1, "text": "An edge is cut straight."}]},
    ],
}  # fmt: skip
SPECIAL = ["<pad>", "<bos>", "<eos>", "<start_of_image>", "<end_of_image>", "<image_soft_token>", "<image>", "<video>"]
TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {% for part in m.content %}{% if part.type == 'image' %}IMAGE{% else %}"
    "{{ part.text }}{% endif %}{% endfor %} {% endfor %}assistant:"
)


@pytest.fixture(scope="module")
def rules() -> Policy:
    return Policy.model_validate(RULES)


def tokenizer():
    """Bytes, and the words that answers begin with."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    words = ["Yes No Safe Unsafe the image shall not contain content"] * 4
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    bpe.train_from_iterator(words, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>",
        model_input_names=["input_ids", "attention_mask"],
        extra_special_tokens={"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"},
    )  # fmt: skip


TEXT = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "initializer_range": 0.3, "max_position_embeddings": 4096,
}  # fmt: skip
VISION = {
    "model_type": "siglip_vision_model", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 2, "image_size": 16, "patch_size": 4, "vision_use_head": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def shield(tmp_path_factory):
    from transformers import ShieldGemma2Config, ShieldGemma2ForImageClassification
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    folder, words = tmp_path_factory.mktemp("shield"), tokenizer()
    words.add_special_tokens({"additional_special_tokens": []})
    ids = {name: words.convert_tokens_to_ids(name) for name in (*SPECIAL, "Yes", "No")}
    text = TEXT | {
        "model_type": "gemma3_text",
        "vocab_size": len(words),
        "head_dim": 8,
        "sliding_window": 4096,
        "pad_token_id": 0,
    }
    config = ShieldGemma2Config(
        text_config=text, vision_config=dict(VISION), mm_tokens_per_image=4, boi_token_index=ids["<start_of_image>"],
        eoi_token_index=ids["<end_of_image>"], image_token_index=ids["<image_soft_token>"],
        yes_token_index=words("Yes")["input_ids"][0],
        no_token_index=words("No")["input_ids"][0],
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ShieldGemma2ForImageClassification(config)
        for name, weight in model.named_parameters():
            if "mm_input_projection" in name:  # new ones are zero, and show no image
                torch.nn.init.normal_(weight)
        model.save_pretrained(folder)
    words.init_kwargs["extra_special_tokens"] = {"image_token": "<image_soft_token>"}
    _saved(folder, words, Gemma3ImageProcessorPil(size={"height": 16, "width": 16}), "<start_of_image>", "<image_soft_token>")
    (folder / "processor_config.json").write_text('{"image_seq_length": 4, "processor_class": "ShieldGemma2Processor"}')
    return folder


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration, LlavaOnevisionImageProcessorPil

    folder, words = tmp_path_factory.mktemp("llava"), tokenizer()
    grid = [[16, 16], [16, 32], [32, 16]]
    config = LlavaOnevisionConfig(
        text_config=TEXT | {"model_type": "qwen2", "vocab_size": len(words)}, vision_config=dict(VISION),
        image_token_index=words.convert_tokens_to_ids("<image>"), video_token_index=words.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=grid, vision_feature_select_strategy="full", vision_feature_layer=-1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlavaOnevisionForConditionalGeneration(config).save_pretrained(folder)
    reader = LlavaOnevisionImageProcessorPil(size={"height": 16, "width": 16}, image_grid_pinpoints=grid)
    _saved(folder, words, reader, "<image>", "<image>")
    said = '{"num_image_tokens": 16, "vision_feature_select_strategy": "full", "processor_class": "LlavaOnevisionProcessor"}'
    (folder / "processor_config.json").write_text(said)
    return folder


def _saved(folder, words, reader, mark, token):
    words.chat_template = TEMPLATE.replace("IMAGE", mark)
    words.save_pretrained(folder)
    reader.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    import json

    said = json.loads(path.read_text())
    said["extra_special_tokens"] = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": token}
    path.write_text(json.dumps(said))


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    rng = np.random.default_rng(0)
    sizes = [(20, 20, 3), (16, 30, 3), (30, 16, 1), (9, 9, 3), (40, 40, 3)]
    return [vision.png(rng.integers(0, 256, size, dtype=np.uint8)) for size in sizes]


@pytest.fixture(params=["shieldgemma2", "llavaguard"])
def judge(request, rules):
    place = request.getfixturevalue({"shieldgemma2": "shield", "llavaguard": "llava"}[request.param])
    return registry.make("image_judge", request.param, model=str(place), policy=rules, batch_size=2, least=0.0)


def test_probabilities_hang_on_image_and_rule_and_not_on_the_batch(judge, files):
    assert importlib.util.find_spec("torchvision") is None, "with torchvision the test shows nothing of Pillow's processors"
    labels = ["withdrawn", "forged", "withdrawn", "forged", "withdrawn"]
    found = judge.scores(files, labels)
    assert ((found > 0) & (found < 1)).all()
    alone = [judge.scores([file], [label])[0] for file, label in zip(files, labels, strict=True)]
    np.testing.assert_allclose(found, alone, atol=1e-4)
    assert len(set(np.round(judge.scores(files, ["withdrawn"] * 5), 5))) == 5, "it does not see the image"
    other = judge.scores(files, ["forged"] * 5)
    assert not np.allclose(other, judge.scores(files, ["withdrawn"] * 5), atol=1e-4), "it does not read the rule"


def test_thresholds_stand_where_few_of_the_other_rows_pass(judge, files):
    with pytest.raises(SparringError, match="call fit first"):
        judge.assess([""], files[:1], ["withdrawn"])
    truth = ["withdrawn", "benign", "benign", "forged", "benign"]
    judge.fit(files, truth)
    others = [f for f, label in zip(files, truth, strict=True) if label != "withdrawn"]
    passed = judge.scores(others, ["withdrawn"] * 4) > judge.thresholds["withdrawn"] + 1e-5  # batches round otherwise
    assert not passed.any()
    verdicts = judge.assess([""] * 5, files, ["withdrawn"] * 5)
    scores = judge.scores(files, ["withdrawn"] * 5)
    far = np.abs(scores - judge.thresholds["withdrawn"]) > 1e-5
    assert far.sum() >= 3
    assert [v.valid for v, ok in zip(verdicts, far, strict=True) if ok] == (
        scores[far] > judge.thresholds["withdrawn"]
    ).tolist()
    assert [v.reason for v in verdicts] == ["" if v.valid else "label" for v in verdicts]
    assert not judge.assess([""], files[:1], ["benign"])[0].valid


def test_shield_gemma_gives_what_its_own_processor_and_class_give(shield, rules, files):
    from transformers import ShieldGemma2ForImageClassification, ShieldGemma2Processor

    judge = ShieldGemma2(model=str(shield), policy=rules)
    parts = judge._parts(str(shield))
    theirs = ShieldGemma2Processor(
        parts["image_processor"], parts["tokenizer"], parts["chat_template"], image_seq_length=4,
        policy_definitions={"withdrawn": guard.shield_gemma(rules.category("withdrawn"))},
    )  # fmt: skip
    model = ShieldGemma2ForImageClassification.from_pretrained(shield).eval()
    inputs = theirs(images=list(vision.pictures(files[:1])), return_tensors="pt")
    with torch.inference_mode():
        wanted = model(**inputs).probabilities[0, 0]
    np.testing.assert_allclose(judge.scores(files[:1], ["withdrawn"])[0], wanted, atol=1e-5)
    text = parts["tokenizer"].decode(inputs["input_ids"][0])
    assert "No Withdrawn content" in text
    assert "An X can be read" in text


def test_llava_guard_reads_the_word_after_what_it_is_given_to_begin_with(llava, rules, files):
    judge = LlavaGuard(model=str(llava), policy=rules)
    asked = guard.llava_guard(rules, rules.category("withdrawn"))
    assert "An X can be read." in asked
    assert "- An empty stamp." in asked
    assert "teeth" not in asked, "the rule of another category"
    unsafe, safe = judge._words
    assert unsafe
    assert safe
    assert not set(unsafe) & set(safe)
    prompt = f"user: <image>{asked} assistant:{guard.LLAVA_BEGUN}"
    inputs = judge._processor(images=list(vision.pictures(files[:1])), text=[prompt], return_tensors="pt")
    with torch.inference_mode():
        p = judge._model(**inputs).logits[0, -1].softmax(0)
    wanted = p[unsafe].sum() / (p[unsafe].sum() + p[safe].sum())
    np.testing.assert_allclose(judge.scores(files[:1], ["withdrawn"])[0], wanted, atol=1e-5)


def test_mistakes_are_said(rules, tmp_path, llava, files):
    with pytest.raises(ReferenceNotFound, match="expected a file or folder"):
        ShieldGemma2(model=str(tmp_path / "none"), policy=rules).scores(files[:1], ["withdrawn"])
    with pytest.raises(JobError, match="batch_size and rows >= 1"):
        LlavaGuard(model=str(llava), policy=rules, batch_size=0)
