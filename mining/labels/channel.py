"""How given labels come about: a true label, and noise on it. Fitted to the given labels by what the views say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST = 20_000  # rows that the model is fitted to
ROUNDS = 40
FLOOR = 1e-3  # no view is surer than this
MAX_RATE = 0.45  # more noise than that, and nobody could tell label from noise
PRIOR_ROWS = 10.0  # what the mean noise rate weighs against a class's own rows
CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Channel:
    """The truth of a row is label t with probability softmax(`weights` . log views + `bias`)[t], out of k labels; it is given
    another label with probability `rate`[t]. A share `even` of this noise hits any other label as `into` (k,) says, wherever
    the row lies; the rest hits the labels that t is confused with in this row. Of two labels, `even` cannot be told: it is 0.5.
    """

    weights: np.ndarray  # (v,)
    bias: np.ndarray  # (k,)
    rate: np.ndarray  # (k,)
    into: np.ndarray  # (k,)
    even: float

    def truth(self, probabilities: np.ndarray, labels: np.ndarray, confusion: np.ndarray) -> np.ndarray:
        """(n, k) float32: the probability of each true label given the views and the given label (-1: the views alone)."""
        out = np.empty(confusion.shape, np.float32)
        for start in range(0, len(out), CHUNK):
            rows = slice(start, start + CHUNK)
            y = labels[rows]
            joint = _softmax(self.weights, self.bias, _logs(probabilities[:, rows]))
            known = y >= 0
            joint[known] *= sum(self._given(y[known], confusion[rows][known]))
            out[rows] = joint / joint.sum(1, keepdims=True)
        return out

    def _given(self, y: np.ndarray, confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(n, k) each: the probability of the given label for each true one, without noise, by even noise, by confusion."""
        row = np.arange(len(y))
        even = self.even * self.rate * self.into[y][:, None] / np.maximum(1 - self.into, 1e-9)
        other = np.minimum(confusion[row, y][:, None] / np.maximum(1 - confusion, 1e-9), 1)
        confused = (1 - self.even) * self.rate * other
        kept = np.zeros_like(confused)
        kept[row, y] = 1 - self.rate[y]
        even[row, y] = confused[row, y] = 0
        return kept, even, confused


def fit(probabilities: np.ndarray, labels: np.ndarray, confusion: np.ndarray, *, seed: int) -> Channel:
    """By expectation-maximisation, on at most `MOST` labelled rows drawn by the seed.

    `probabilities` (v, n, k), NaN where a view abstains; `labels` (n,), -1 unlabelled; `confusion` (n, k) says which labels a
    row could be confused between. Related to Dawid and Skene (1979) and Raykar et al. (JMLR 2010) with one annotator a row, the
    classifier being a pool of log odds whose weights are learned with the noise.
    """
    rows = np.flatnonzero((labels >= 0) & ~np.isnan(probabilities[:, :, 0]).all(0))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng([seed, 2]).choice(rows, MOST, replace=False))
    y, c, logs = labels[rows], confusion[rows].astype(np.float64), _logs(probabilities[:, rows])
    views, k = len(logs), confusion.shape[1]
    model = Channel(np.full(views, 1 / views), np.zeros(k), np.full(k, 0.1), np.full(k, 1 / k), 0.5)
    for _ in range(ROUNDS if len(rows) and k > 1 else 0):
        kept, even, confused = model._given(y, c)
        given = kept + even + confused
        joint = _softmax(model.weights, model.bias, logs) * given
        truth = joint / joint.sum(1, keepdims=True)
        by_even, by_confusion = (truth * part / np.maximum(given, 1e-12) for part in (even, confused))
        noise, total = (by_even + by_confusion).sum(0), truth.sum(0)
        mean = (noise.sum() + 1) / (len(rows) + 2 * PRIOR_ROWS)
        rate = np.minimum((noise + PRIOR_ROWS * mean) / (total + PRIOR_ROWS), MAX_RATE)
        into = np.bincount(y, by_even.sum(1), minlength=k) + 1 / k
        share = (by_even.sum() + 0.5) / (noise.sum() + 1) if k > 2 else 0.5
        moved = np.abs(rate - model.rate).max()
        model = Channel(*_pool(model.weights, model.bias, logs, truth), rate, into / into.sum(), float(share))
        if moved < 1e-4:
            break
    return model


def _logs(probabilities: np.ndarray) -> np.ndarray:
    """(v, n, k) log-probabilities around their mean; 0 where a view abstains."""
    logs = np.log(np.maximum(np.asarray(probabilities, np.float64), FLOOR))
    return np.nan_to_num(logs - logs.mean(2, keepdims=True))


def _softmax(weights: np.ndarray, bias: np.ndarray, logs: np.ndarray) -> np.ndarray:
    z = np.tensordot(weights, logs, 1) + bias
    z = np.exp(z - z.max(1, keepdims=True))
    return z / z.sum(1, keepdims=True)


def _pool(weights: np.ndarray, bias: np.ndarray, logs: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights >= 0 and bias, a few steps nearer to `truth`: cross-entropy, drawn towards equal weights and no bias."""
    from scipy.optimize import minimize

    views = len(logs)

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = point[:views], point[views:]
        p = _softmax(w, b, logs)
        away, off = w - 1 / views, p - truth
        value = -(truth * np.log(np.maximum(p, 1e-300))).sum() + 5 * (away**2).sum() + (b**2).sum() / 2
        return value, np.concatenate([np.tensordot(logs, off, 2) + 10 * away, off.sum(0) + b])

    bounds = [(0, None)] * views + [(None, None)] * len(bias)
    found = minimize(loss, np.concatenate([weights, bias]), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 8})
    return found.x[:views], found.x[views:]
