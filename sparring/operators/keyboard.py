from __future__ import annotations

from random import Random

from ..errors import JobError
from .base import WordOperator, pick

_ROWS = {
    "qwerty": ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "qwertz": ("qwertzuiopü", "asdfghjklöä", "yxcvbnm"),
    "azerty": ("azertyuiop", "qsdfghjklm", "wxcvbn"),
    "jcuken": ("йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю"),
}
_SHIFT = (0.0, 0.25, 0.75)  # how far a row stands to the right of the first, in keys


class Keyboard(WordOperator):
    """Replaces one inner letter of a word by that of a neighbouring key: "orize", "messahe"; `layout` qwerty by default."""

    name = "keyboard"
    family = "character"
    preserves = "first and last letter of each word, its length, word count, payload"
    hides = True

    def __init__(self, *, layout: str = "qwerty"):
        if layout not in _ROWS:
            raise JobError(f"expected a keyboard layout out of {', '.join(_ROWS)}; got {layout!r}")
        self.layout = layout
        self._near = neighbours(layout)

    def can_edit(self, word: str) -> bool:
        return bool(self._inner(word))

    def edit(self, word: str, rng: Random) -> str:
        i = pick(self._inner(word), rng)
        return word[:i] + pick(self._near[word[i]], rng) + word[i + 1 :]

    def _inner(self, word: str) -> list[int]:
        letters = [i for i, c in enumerate(word) if c.isalpha()]
        return [i for i in letters[1:-1] if word[i] in self._near] if len(letters) > 3 else []


def neighbours(layout: str) -> dict[str, str]:
    """Letter -> the letters of the keys that touch its own, in its case."""
    at = {key: (x + _SHIFT[y], y) for y, row in enumerate(_ROWS[layout]) for x, key in enumerate(row)}
    near = {
        key: "".join(other for other, (a, b) in at.items() if other != key and abs(a - x) <= 1 and abs(b - y) <= 1)
        for key, (x, y) in at.items()
    }
    return near | {key.upper(): others.upper() for key, others in near.items()}
