"""nlpaug's augmenters as published, one candidate a seed. SynonymAug is left out: no registry has its part-of-speech tagger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import common

RECIPES = {"keyboard": "KeyboardAug", "ocr": "OcrAug", "random_char": "RandomCharAug", "spelling": "SpellingAug"}


def attack(request: dict[str, Any], scorer: common.Scorer) -> Iterator[common.Row]:
    import nlpaug.augmenter.char
    import nlpaug.augmenter.word

    if request["recipe"] not in RECIPES:
        raise SystemExit(f"expected a recipe of {', '.join(RECIPES)}; got {request['recipe']!r}")
    name = RECIPES[request["recipe"]]
    augmenter = getattr(nlpaug.augmenter.word if name == "SpellingAug" else nlpaug.augmenter.char, name)()
    yield from common.one_shot(request["seeds"], scorer, lambda text: augmenter.augment(text)[0], request["seed"])


if __name__ == "__main__":
    common.start(attack, ["nlpaug"])
