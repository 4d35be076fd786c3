from __future__ import annotations

import numpy as np
import pytest

from mining.labels import views
from mining.labels.dynamics import Recorder, trainer_callback
from sparring.errors import DataError


def test_margin_forgetting_and_learning_are_those_of_their_papers():
    record = Recorder([0, 1, 1, -1])
    for epoch in ([[2, 0], [0, 1], [3, 0], [0, 1]], [[0, 1], [0, 2], [2, 0], [0, 1]], [[3, 1], [0, 3], [1, 0], [0, 1]]):
        record.record(np.array(epoch, float))
    np.testing.assert_allclose(record.aum[:3], [(2 - 1 + 2) / 3, 2, -2])
    assert np.isnan(record.aum[3])
    assert record.forgotten.tolist() == [1, 0, -1, -1]
    assert record.learned.tolist() == [0, 0, -1, -1]
    np.testing.assert_allclose(record.view.sum(1), 1, atol=1e-6)
    views.checked(record.view, (4, 2), "dynamics")


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.zeros((3, 2)), r"shape \(2, k >= 2\); got \(3, 2\)"),
        (np.full((2, 2), np.nan), "finite logits; epoch 0"),
        (np.zeros((2, 2)), "labels below 2, the number of logits; got 2"),
    ],
)
def test_bad_logits_are_said(logits, message):
    with pytest.raises(DataError, match=message):
        Recorder([0, 2]).record(logits)


def test_nothing_recorded_is_said():
    with pytest.raises(DataError, match="at least one recorded epoch"):
        _ = Recorder([0, 1]).aum


def test_the_callback_records_each_epoch_of_a_trainer(tmp_path):
    import torch
    from transformers import Trainer, TrainingArguments

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = torch.tensor(np.eye(2, 4)[y] + 0.2 * rng.standard_normal((80, 4)), dtype=torch.float32)
    told = y.copy()
    told[:8] = 1 - y[:8]

    class Linear(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 2)

        def forward(self, x, labels=None):
            logits = self.layer(x)
            return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

    rows = [{"x": a, "labels": int(b)} for a, b in zip(x, told, strict=True)]
    recorder = Recorder(told)
    settings = TrainingArguments(
        output_dir=str(tmp_path), num_train_epochs=4, per_device_train_batch_size=8, learning_rate=0.1, report_to=[],
        save_strategy="no", use_cpu=True, disable_tqdm=True, logging_strategy="no", seed=0,
    )  # fmt: skip
    callback = trainer_callback(recorder, lambda model: model.layer(x).numpy())
    Trainer(model=Linear(), args=settings, train_dataset=rows, callbacks=[callback]).train()
    assert recorder.epochs == 4
    assert np.sort(np.argsort(recorder.aum)[:8]).tolist() == list(range(8))
