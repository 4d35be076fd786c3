from __future__ import annotations

import pathlib

import numpy as np
import pytest
import yaml

from mining.probe import material
from sparring import policy

ROOT = pathlib.Path(__file__).parents[3]
CASES = ROOT / "examples" / "probes" / "spam.yaml"


class Always:
    """Decides the same label for every text."""

    def __init__(self, labels: tuple[str, ...], decided: int):
        self.labels, self.threshold, self.decided = labels, 0.5, decided

    def predict_proba(self, samples):
        return np.tile(np.eye(len(self.labels), dtype=np.float32)[self.decided], (len(samples), 1))


@pytest.fixture
def spam(policy_path):
    return policy.load(policy_path)


@pytest.fixture
def spam_material(spam):
    return material.load(CASES, spam)


@pytest.fixture
def write_policy(tmp_path, policy_path):
    """A policy file like the example's, changed; `categories` of the given names share its one category's form."""

    def write(*, names: tuple[str, ...] = ("spam",), **changes) -> pathlib.Path:
        raw = yaml.safe_load(policy_path.read_text(encoding="utf-8"))
        form = raw["categories"][0]
        raw["categories"] = [
            {
                **form,
                "name": name,
                "clauses": [{"id": f"{name}.1", "text": f"The first of {name}."}, {"id": f"{name}.2", "text": "Another."}],
                "examples": [f"Call {name} now for a free gift.", f"Reply YES and {name} will send you money."],
            }
            for name in names
        ]
        category = changes.pop("category", {})
        raw["categories"][0] |= category
        path = tmp_path / "policy.yaml"
        path.write_text(yaml.safe_dump(raw | changes), encoding="utf-8")
        return path

    return write


@pytest.fixture
def write_cases(tmp_path):
    def write(name: str = "cases.yaml", **content) -> pathlib.Path:
        path = tmp_path / name
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        return path

    return write
