"""Which family a language model is of. A model favours what its like wrote (https://arxiv.org/abs/2404.13076), so a judge must
not be of the generator's family."""

from __future__ import annotations

import re

from .errors import JobError

# The first that a name holds counts: derivatives carry their base's name beside their own.
_FAMILIES = {
    "smollm": r"smollm",
    "deepseek": r"deepseek",
    "qwen": r"qwen|qwq",
    "mistral": r"mi[sx]tral|ministral|codestral|magistral|zephyr",
    "gemma": r"gemma|gemini",
    "llama": r"llama(?!\.?cpp|_cpp|file)|vicuna|alpaca|tulu",
    "gpt": r"(?<![a-z])gpt(?!q)|davinci|(?<![a-z0-9])o[1-9](?![a-z0-9])",
    "claude": r"claude",
    "phi": r"(?<![a-z])phi(?![a-z])",
    "olmo": r"olmo",
    "falcon": r"falcon",
    "granite": r"granite",
    "command": r"command-?[ar](?![a-z])|(?<![a-z])aya(?![a-z])",
    "yi": r"(?<![a-z])yi(?![a-z])",
    "glm": r"glm",
}


def family(model: str) -> str | None:
    """The family that a model's reference names, its last part first; None where it names none that is known."""
    parts = [part for part in re.split(r"://|/", model.lower()) if part]
    for text in (*parts[-1:], model.lower()):
        for name, pattern in _FAMILIES.items():
            if re.search(pattern, text):
                return name
    return None


def check(judge: str, generator: str | None) -> None:
    """Raises `JobError` where judge and generator are one model or of one family; of an unknown name nothing can be said."""
    if generator is None:
        return
    mine, theirs = family(judge), family(generator)
    if judge == generator or (mine and mine == theirs):
        what = f"of the family {mine}" if mine else "the same model"
        raise JobError(
            f"judge 'llm': expected another family than the generator's, got {judge!r} and {generator!r}, both {what}: a model "
            "favours what its like wrote. Fix: a judge or a generator of another family"
        )
