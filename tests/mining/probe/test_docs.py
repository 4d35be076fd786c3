"""The output that docs/probe.md shows is what the command prints for the demo's first classifier."""

from __future__ import annotations

import io
import re

import numpy as np
from rich.console import Console

from mining.probe import show, suite
from mining.probe.examine import examine
from sparring import data, jobs
from sparring.metrics import operating_point
from sparring.protocols import violation_scores
from sparring.record import BENIGN
from sparring.targets.sklearn import SklearnTarget

from .conftest import ROOT


def test_the_output_in_the_docs_is_real(spam, spam_material):
    job = jobs.load(ROOT / "examples" / "sms_spam.yaml")
    corpus = data.load(job.data, spam, base=job.base, seed=job.seed)
    train, validation = corpus.by("train"), corpus.by("validation")
    target = SklearnTarget(**job.target.settings)
    target = target.fit([r.text for r in train], [r.label_name for r in train], names=spam.labels, seed=job.seed)
    scores = violation_scores(target, [r.text for r in validation])
    target.threshold = operating_point(scores, np.array([r.label_name != BENIGN for r in validation]), job.max_fpr)
    found = examine(target, suite.build(spam, [spam_material]), spam, name="runs/sms_spam/target")
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(*show.render(found), sep="\n", highlight=False)
    printed = re.sub(r" +$", "", console.export_text(), flags=re.M).strip()
    page = (ROOT / "docs" / "probe.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- probe: .*? -->\n```\n(.*?)```", page, re.S)
    assert shown
    assert shown[1].strip() == printed
