from __future__ import annotations

import asyncio
import json
import pathlib
from collections.abc import Callable

import pytest
import torch
from aiohttp import web

NAMES = ("benign", "spam", "threat")
WORDS = "lunch home bus dinner sleep mum free prize claim cash winner".split()
SPAM = WORDS[6:]


def two_categories(folder: pathlib.Path) -> pathlib.Path:
    """A policy whose labels are `NAMES`."""
    categories = [
        {"name": n, "hazard": "ncr", "definition": n, "clauses": [{"id": f"{n}.one", "text": f"Is {n}."}]} for n in NAMES[1:]
    ]
    rules = {"name": "two", "version": "1", "description": "Test.", "categories": categories}
    (folder / "policy.yaml").write_text(json.dumps(rules), encoding="utf-8")
    return folder / "policy.yaml"


def vocabulary() -> dict[str, int]:
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters, *("##" + c for c in letters)]
    return {token: number for number, token in enumerate(tokens)}


def bert(head: type, folder: pathlib.Path, **config: object) -> pathlib.Path:
    """A random BERT of 2 layers and a vocabulary of the words above, saved by transformers with its tokenizer."""
    from transformers import BertConfig, BertTokenizer

    BertTokenizer(vocab=vocabulary(), model_max_length=64).save_pretrained(folder)
    shape = BertConfig(
        vocab_size=len(vocabulary()), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64, **config,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head(shape).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory) -> pathlib.Path:
    """The encoder alone: trains in a second."""
    from transformers import BertModel

    return bert(BertModel, tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture(scope="session")
def tiny_classifier(tmp_path_factory) -> pathlib.Path:
    """A classifier of three classes, called like the labels."""
    from transformers import BertForSequenceClassification

    names = dict(enumerate(NAMES))
    settings = {"id2label": names, "initializer_range": 0.5}  # so that texts differ by more than rounding
    return bert(BertForSequenceClassification, tmp_path_factory.mktemp("tiny-classifier"), **settings)


@pytest.fixture(scope="session")
def saved_images(tmp_path_factory):
    """Folders of random image classifiers with their processors, by family, made once; the images' sides come to 24 pixels."""
    import functools

    import transformers as t

    names = dict(enumerate(("benign", "withdrawn", "forged")))
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    wide = {"initializer_range": 0.3}  # so that images differ by more than rounding

    def build(family: str, config: dict):
        square = {"height": 24, "width": 24}
        if family == "vit":
            shape = t.ViTConfig(image_size=24, patch_size=8, **small, **config)
            return t.ViTForImageClassification(shape), t.ViTImageProcessorPil(size=square)
        if family == "convnext":
            shape = t.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, layer_scale_init_value=1.0, **config)
            return t.ConvNextForImageClassification(shape), t.ConvNextImageProcessorPil(size={"shortest_edge": 24})
        if family == "siglip":
            shape = t.SiglipConfig(vision_config={"image_size": 24, "patch_size": 8, **small}, **config)
            return t.SiglipForImageClassification(shape), t.SiglipImageProcessorPil(size=square)
        vision = {"patch_size": 8, "num_patches": 16, **small}
        shape = t.Siglip2Config(vision_config=vision, **config)
        return t.Siglip2ForImageClassification(shape), t.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=9)

    @functools.cache
    def save(family: str, config: str) -> pathlib.Path:
        folder, given = tmp_path_factory.mktemp(family), json.loads(config)
        given["id2label"] = {int(k): v for k, v in given.get("id2label", names).items()}
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model, processor = build(family, wide | given)
            for p in model.parameters():  # some families start with heads of nearly nothing
                if p.ndim > 1:
                    torch.nn.init.normal_(p, std=0.3 / max(1, p[0].numel() / 50) ** 0.5)
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        return folder

    return lambda family, **config: save(family, json.dumps(config))


@pytest.fixture(scope="session")
def tiny_onnx(tiny_classifier, tmp_path_factory) -> pathlib.Path:
    """The same classifier as ONNX, by torch's own exporter, with its tokenizer and config beside it."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = tmp_path_factory.mktemp("tiny-onnx")
    tokenizer = AutoTokenizer.from_pretrained(tiny_classifier)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_classifier).eval()
    tokenizer.save_pretrained(folder)
    model.config.save_pretrained(folder)
    found = tokenizer(["lunch home", "free prize claim cash"], return_tensors="pt", padding=True)
    example = {name: found[name] for name in ("input_ids", "attention_mask", "token_type_ids")}  # as `forward` orders them
    axes = {name: {0: "batch", 1: "length"} for name in example}
    with pytest.warns():  # this exporter is deprecated, and forty times as fast as the other, which a slow test uses
        torch.onnx.export(
            model, kwargs=example, f=folder / "model.onnx", input_names=list(example), output_names=["logits"],
            dynamic_axes=axes, dynamo=False,
        )  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def spam_pipeline():
    """A scikit-learn pipeline over raw texts, fitted on the words above; `last` is its classifier."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    def fit(last, labels=("ham", "spam"), **vectorizer):
        texts = [" ".join(words) for words in (WORDS[:3], WORDS[2:6], SPAM[:3], SPAM[2:])]
        return make_pipeline(TfidfVectorizer(**vectorizer), last).fit(texts, [labels[0]] * 2 + [labels[1]] * 2)

    return fit


class Server:
    """A classifier on loopback that counts words: `/one` takes a text, `/many` a list. `fault` may answer in its place.

    A score is the share of a text's words that are spam, or threats ("kill").
    """

    def __init__(self) -> None:
        self.bodies: list[dict] = []
        self.headers: list[dict] = []
        self.busy = self.most_busy = 0
        self.delay = 0.0
        self.fault: Callable[[int, dict], web.Response | str | None] = lambda number, body: None

    @staticmethod
    def scores(text: str) -> dict[str, float]:
        words = text.split() or [""]
        return {"spam": sum(w in SPAM for w in words) / len(words), "threat": sum(w == "kill" for w in words) / len(words)}

    async def answer(self, request: web.Request) -> web.Response:
        body, number = await request.json(), len(self.bodies)
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            await asyncio.sleep(self.delay)
            fault = self.fault(number, body)
            if fault == "reset":
                request.transport.abort()
            elif fault == "slow":
                await asyncio.sleep(5)
            elif fault is not None:
                return fault
        finally:
            self.busy -= 1
        if request.path == "/one":
            return web.json_response({"result": [{"label": k, "score": v} for k, v in self.scores(body["text"]).items()]})
        return web.json_response({"results": [{"category_scores": self.scores(t), "flagged": True} for t in body["input"]]})

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/{path}", self.answer)
        return app


def running(loopback):
    server = Server()
    with loopback(server.app()) as server.url:
        yield server


@pytest.fixture(scope="session")
def one_server(loopback):
    yield from running(loopback)


@pytest.fixture
def server(loopback):
    yield from running(loopback)


@pytest.fixture(scope="session")
def settings_of(tiny_bert, tiny_classifier, tiny_onnx, spam_pipeline, one_server, tmp_path_factory):
    """Settings that make each registered target small enough for this suite, and answer for `NAMES`."""
    import skops.io
    from sklearn.linear_model import LogisticRegression

    file = tmp_path_factory.mktemp("file") / "pipeline.skops"
    skops.io.dump(spam_pipeline(LogisticRegression()), file)
    known = {
        "dummy": {},
        "http": {
            "url": f"{one_server.url}/many", "request": {"input": "{texts}"}, "backoff": 0.001,
            "scores": {name: f"results[*].category_scores.{name}" for name in ("spam", "threat")},
        },
        "llm_guard": {"verdicts": {"kind": "dummy"}, "policy": str(two_categories(tmp_path_factory.mktemp("policy")))},
        "onnx": {"model": str(tiny_onnx), "max_length": 32},
        "pretrained": {"model": str(tiny_classifier), "max_length": 32},
        "python": {"call": "profanity_check:predict_prob", "labels": {"score": "spam"}, "trust": True},
        "sklearn": {},
        "sklearn:embedding": {"features": "embedding", "embedder": "dummy"},
        "sklearn:kernel": {"features": "embedding", "embedder": "dummy", "head": "kernel", "components": 40},
        "sklearn_file": {"model": str(file), "labels": {"ham": "benign", "spam": "spam"}},
        "transformers": {"model": str(tiny_bert), "max_length": 32, "epochs": 8, "learning_rate": 5e-3, "batch_size": 8},
    }  # fmt: skip
    return lambda kind: json.loads(json.dumps(known[kind]))
