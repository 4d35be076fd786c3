"""PyRIT's text converters, one candidate a seed. Base64 is there to show that raw success rewards what nobody can read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import common

RECIPES = {
    "leetspeak": "LeetspeakConverter",
    "diacritic": "DiacriticConverter",
    "emoji": "EmojiConverter",
    "confusable": "UnicodeConfusableConverter",
    "zero_width": "ZeroWidthConverter",
    "letter_spacing": "CharacterSpaceConverter",
    "superscript": "SuperscriptConverter",
    "base64": "Base64Converter",
}


def attack(request: dict[str, Any], scorer: common.Scorer) -> Iterator[common.Row]:
    from pyrit import converter
    from pyrit.common.random_context import configure_random_seed

    if request["recipe"] not in RECIPES:
        raise SystemExit(f"expected a recipe of {', '.join(RECIPES)}; got {request['recipe']!r}")
    configure_random_seed(seed=request["seed"])  # its own generators know nothing of the global ones
    chosen = getattr(converter, RECIPES[request["recipe"]])()
    with asyncio.Runner() as runner:

        def convert(text: str) -> str:
            return runner.run(chosen.convert_async(prompt=text)).output_text

        yield from common.one_shot(request["seeds"], scorer, convert, request["seed"])


if __name__ == "__main__":
    common.start(attack, ["pyrit"])
