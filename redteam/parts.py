"""The job's attack strategy, made with what it declares that it takes: operators, knowledge, guide, policy, a language model, a
second target, benign words."""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from sparring import generators, refs, registry, retrain
from sparring.context import Context
from sparring.protocols import TextModel
from sparring.record import Generator
from sparring.retrain import Trained

from . import engine
from .knowledge import Knowledge

ANSWER = 400  # tokens that the job's generator may answer with here: several rewrites are longer than one sample

_LETTERS = re.compile(r"[^\W\d_]{2,}")
MOST_ROWS, MOST_WORDS = 20_000, 1_000  # benign rows that words are taken from, and the words, by frequency


def strategy(ctx: Context, known: Knowledge, operators: Mapping[str, Any]) -> engine.Attack:
    """Made anew; a model in it is kept between calls."""
    part = ctx.job.attack.strategy
    offers: dict[str, Any] = {"operators": operators, "knowledge": known, "guide": ctx.embedder, "rules": ctx.policy}
    offers |= {"longer": ctx.job.judges.longer, "near": 1 - ctx.job.judges.cosine, "seed": ctx.job.seed}
    kind = ctx.job.medium.kind("attack")
    takes = registry.takes(kind, part.kind)
    own = dict(part.settings)
    if "model" in takes:
        own["model"] = text_model(ctx)
    if "image_model" in takes:
        own["image_model"] = generators.image_model(ctx)
    if "guides" in takes:
        own["guides"] = [g.target for g in nets(ctx, "guides", own.get("guides", ["patches"]))]
    if seconds := surrogates(ctx):
        own["surrogates"] = [s.target for s in seconds]
    if second := surrogate(ctx):
        own["surrogate"] = second.target
    if "words" in takes and "words" not in own:
        own["words"] = benign_words(ctx)
    return registry.make(kind, part.kind, **registry.offered(kind, part.kind, offers) | own)


def sendable(ctx: Context) -> bool:
    """Whether units may be done elsewhere. Where the strategy asks a language model they stay, for what it writes stands in the
    ledger, which is the driver's; so they do where a generator draws."""
    takes = registry.takes(ctx.job.medium.kind("attack"), ctx.job.attack.strategy.kind)
    return not takes & {"model", "image_model"}


def text_model(ctx: Context) -> TextModel:
    """The strategy's own language model, or the job's generator with room for a longer answer."""
    named, generator = ctx.job.attack.strategy.settings.get("model"), ctx.job.synth.model
    if named is None and generator is not None:
        named = {"kind": generator.kind, **generator.settings}
        if "max_new_tokens" in registry.takes("text_model", generator.kind):
            named["max_new_tokens"] = max(ANSWER, named.get("max_new_tokens", 0))
    return ctx.remembered(_text_model(json.dumps(named, sort_keys=True), str(refs.base())))


@functools.lru_cache(1)
def _text_model(settings: str, base: str) -> TextModel:
    """Its weights are loaded once for all units; `base` is where its reference counts from."""
    own = json.loads(settings)
    return registry.make("text_model", own.pop("kind"), **own)


def surrogate(ctx: Context) -> Trained | None:
    """The second target that the strategy names, trained on the training rows if the job can train it; kept in the run."""
    part = ctx.job.attack.strategy
    if not (named := dict(part.settings.get("surrogate") or {})) or "surrogate" not in registry.takes("attack", part.kind):
        return None
    made = registry.make("target", named.pop("kind"), **named)
    made = made.under(ctx.policy) if hasattr(made, "under") else made
    return retrain.fit(ctx, "surrogate", ctx.corpus.by("train"), seed=ctx.job.seed, other=made)


def surrogates(ctx: Context) -> list[Trained]:
    """The targets of images with gradients that a strategy names in place of the job's own."""
    part, kind = ctx.job.attack.strategy, ctx.job.medium.kind("attack")
    if "surrogates" not in registry.takes(kind, part.kind):
        return []
    return nets(ctx, "surrogates", part.settings.get("surrogates", ()))


def nets(ctx: Context, role: str, named: Sequence[Any]) -> list[Trained]:
    """Targets of images that steer a generator, kept in the run under `role`: an architecture of `net` by its name, or a `kind`
    with its settings; what the job can train learns from the training rows. They are no judges of what is drawn."""
    train = ctx.corpus.by("train")
    same = (
        {k: v for k, v in ctx.job.target.settings.items() if k in ("size", "channels")} if ctx.job.target.kind == "net" else {}
    )
    fitted = []
    for number, given in enumerate(named):
        own = {"kind": "net", "architecture": given, **same} if isinstance(given, str) else dict(given)
        made = registry.make("image_target", own.pop("kind"), **own)
        name = given if isinstance(given, str) else f"{number}-{made.kind}"
        fitted.append(retrain.fit(ctx, f"{role}/{name}", train, seed=ctx.job.seed, other=made))
    return fitted


def benign_words(ctx: Context) -> tuple[str, ...]:
    """The commonest words of the benign training rows, in small letters."""
    rows = [r.text or "" for r in ctx.corpus.by("train", violating=False)]
    rows = Random(ctx.job.seed).sample(rows, MOST_ROWS) if len(rows) > MOST_ROWS else rows
    count = Counter(word for text in rows for word in _LETTERS.findall(text.lower()))
    return tuple(word for word, _ in sorted(count.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_WORDS])


def generator(ctx: Context, name: str, parameters: str = "") -> Generator:
    """What a record needs to say of how it was made; a language model is named where one wrote it."""
    part = ctx.job.attack.strategy
    takes = registry.takes(ctx.job.medium.kind("attack"), part.kind)
    if name == part.kind and "image_model" in takes:
        said = generators.image_model(ctx).describe()
        return Generator.of(said, name=name, seed=ctx.job.seed, parameters=parameters or "{}")
    if name != part.kind or "model" not in takes:
        return Generator(name=name, seed=ctx.job.seed)
    said = text_model(ctx).describe()
    made_by = json.dumps(said.get("parameters", {}), sort_keys=True)
    return Generator.of(said, name=name, seed=ctx.job.seed, parameters=made_by)
