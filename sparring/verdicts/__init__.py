"""Yes-or-no from a language model by the probability of its next token, one backend each."""

from .base import Answers, Verdicts, made

__all__ = ["Answers", "Verdicts", "made"]
