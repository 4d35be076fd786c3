"""docs/targets.md: every snippet is a target that can be made, every kind has one, every setting that is shown exists."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

from sparring import jobs, registry

TEXT = (pathlib.Path(__file__).parents[3] / "docs" / "targets.md").read_text(encoding="utf-8")
SNIPPETS = [yaml.safe_load(block)["target"] for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda s: s["kind"])
def test_a_snippet_makes_a_target(snippet):
    part = jobs.Part.model_validate(snippet)
    assert part.settings.keys() == {k for k in snippet if k != "kind"}
    made = registry.make("target", part.kind, **part.settings)
    for name, value in part.settings.items():
        shown = getattr(made.settings, name)
        assert shown == value, name


def test_every_kind_has_a_snippet_and_a_row_of_the_table():
    kinds = set(registry.names("target"))
    assert {s["kind"] for s in SNIPPETS} == kinds
    assert {k for row in re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE) for k in re.findall(r"`(\w+)`", row)} >= kinds
