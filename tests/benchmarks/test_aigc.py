from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))
from benchmarks.pictures import aigc


def test_both_sides_of_a_planted_set_differ_by_what_was_planted():
    real, made = aigc.planted(1)["encoder"]
    assert len(real) == len(made) == 200
    assert all(image[:2] == b"\xff\xd8" for image in real + made)
    assert "encoder" in aigc.audit(real[:60], made[:60]).found
