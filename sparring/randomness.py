"""The global random state, which other people's trainers seed: put back as it was."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Within the block anything may seed python, numpy and torch; afterwards they are where they were."""
    import torch

    there = torch.cuda.is_available()
    states = random.getstate(), np.random.get_state(), torch.get_rng_state(), torch.cuda.get_rng_state_all() if there else []
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if there:
            torch.cuda.set_rng_state_all(states[3])
