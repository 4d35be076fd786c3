from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))
from benchmarks.pictures import flyers


def test_a_small_run_gives_every_figure(monkeypatch):
    monkeypatch.setattr(flyers, "SPELT", {"recall_leet": "leet", "recall_spaced": "dotted"})
    found = {row.metric: row for row in flyers.flyers(2)}
    assert set(found) == {"ocr_cpu_s", "render_ms", "recall_of_another", "recall_leet", "recall_spaced"}
    assert found["recall_leet"].ours > 0.8
    assert found["recall_leet"].goal == 0.95
    assert 0 < found["ocr_cpu_s"].ours < found["ocr_cpu_s"].peer
    assert found["recall_of_another"].ours < 0.4
