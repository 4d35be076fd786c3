"""Every job that docs/attackers.md shows names a strategy and settings that there are."""

from __future__ import annotations

import pathlib
import re
import textwrap

import pytest
import yaml

from sparring import registry
from sparring.jobs import AttackSettings

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "attackers.md"
BLOCKS = re.findall(r"^    attack:\n(?:^    .*\n)+", PAGE.read_text(encoding="utf-8"), re.M)


def strategies():
    for block in BLOCKS:
        for shown in (block, *re.findall(r"^ +# (strategy: .*)", block, re.M)):
            found = yaml.safe_load(textwrap.dedent(shown))
            yield AttackSettings.model_validate(found.get("attack", found)).strategy


def test_the_page_shows_every_strategy_that_needs_more_than_operators():
    assert {part.kind for part in strategies()} == {"learned", "pair", "tap", "hotflip", "transfer"}


@pytest.mark.parametrize("part", list(strategies()), ids=lambda part: part.kind)
def test_a_shown_strategy_takes_its_settings(part):
    assert set(part.settings) <= registry.takes("attack", part.kind)
    for setting, kind in (("model", "text_model"), ("surrogate", "target")):
        inner = dict(part.settings.get(setting, {}))
        assert not inner or set(inner) - {"kind"} <= registry.takes(kind, inner["kind"])
