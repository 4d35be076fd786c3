from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from sparring.generation import Asked, Told
from sparring.protocols import Completion

from .base import Backend

_SPAM = (
    "{shout} You have won {prize}! To claim {act} {number} now. {small}",
    "{shout} Your {thing} is due for {offer}. {act} {number} within {n} hours. {small}",
    "{brand}: we could not take your payment. Confirm your details at www.{site}.com/{n} or your account closes today.",
    "Get {offer} on any {thing} this week only! Text {word} to {short}. {small}",
    "{name} wants to meet you in {town} tonight. Reply {word} to {short} to chat. {small}",
    "{brand} final notice: {prize} is waiting for you. {act} {number} before it goes. {small}",
    "Earn {money} a week from home, no skills needed. See www.{site}.com or {act} {number}.",
)
_HAM = (
    "Hi {name}, are we still on for {town} on {day}?",
    "Running {n} minutes late, sorry. Start without me.",
    "Can you send me the {thing} before {day}? Thanks, {name}",
    "Happy birthday {name}! Hope you have a lovely {day}.",
)
_WORDS = {
    "shout": ("URGENT!", "Congratulations!", "WINNER!!", "Last chance:", "Free message:", "Dear customer,"),
    "prize": ("a £1000 cash prize", "a holiday for two", "a new phone", "£500 of vouchers", "a bonus of £250"),
    "act": ("call", "ring", "phone"),
    "small": ("150p/msg.", "T&Cs apply.", "Over 18s only.", "Reply STOP to end.", ""),
    "thing": ("mobile", "tariff", "ringtone", "camera", "insurance", "broadband"),
    "offer": ("a free upgrade", "50% off", "3 months free", "double minutes"),
    "brand": ("NetBank", "ParcelHub", "CellOne", "TaxDesk", "ShopMax"),
    "site": ("claim-now", "fastreward", "mytopdeal", "verify-id", "bigwin4u"),
    "word": ("YES", "WIN", "GO", "CHAT", "TONE"),
    "money": ("£300", "$900", "€450"),
    "name": ("Anna", "Ben", "Chloe", "Dev", "Ella", "Finn"),
    "town": ("Leeds", "Cork", "Dover", "Bristol", "Perth"),
    "day": ("Monday", "Friday", "Saturday", "Sunday"),
}  # fmt: skip


@dataclass(kw_only=True)
class Dummy(Backend):
    """Fills templates of spam from word lists: no model, the same everywhere; for tests and dry runs.

    As a real model now and then misses what it was asked for, a share `benign` of its texts breaks no rule.
    """

    name: ClassVar[str] = "dummy"

    model: str = "dummy"
    licence: str | None = "Apache-2.0"
    benign: float = 0.1

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"parameters": {"benign": self.benign}}

    def answer(self, asked: Iterator[Asked], told: Told) -> None:
        for one in asked:
            text = _text(Random(one.seed), self.benign)
            told(one.number, Completion(text, len(text.split()), len(one.system.split()) + len(one.user.split())))


def _text(rng: Random, benign: float) -> str:
    template = rng.choice(_HAM if rng.random() < benign else _SPAM)
    words = {slot: rng.choice(words) for slot, words in _WORDS.items()}
    numbers = {
        "n": rng.randint(2, 48),
        "short": rng.randint(80000, 89999),
        "number": f"0{rng.randint(7, 9)}{rng.randint(10**8, 10**9 - 1)}",
    }
    return template.format(**words, **numbers).strip()
