"""What the licence of a generator says about its output, as far as Sparring knows. No legal advice: the card repeats it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ..errors import UserError
from .manifest import Count, Manifest

Kind = Literal["free", "stated", "alone"]


@dataclass(frozen=True, slots=True)
class Terms:
    """`free`: nothing is asked of the output. `stated`: the card must say it. `alone`: not beside rows of another origin."""

    kind: Kind
    says: str


# First match wins. Each line was read off the licence's own text; the ids are those of the hub's model cards.
_KNOWN: tuple[tuple[str, Terms], ...] = (
    (
        r"llama-?[23](?!\.)\b|llama-?[23]-community.*",
        Terms("alone", "Llama 2 and 3, section 1.b.v: no output may serve to improve another language model"),
    ),
    (
        r"(?:meta-)?llama-?(?:3\.[1-9]|4).*",
        Terms(
            "stated", "Llama 3.1 and later, section 1.b.i: say `Built with Llama`; a model trained on it has Llama in its name"
        ),
    ),
    (
        r"gemma.*",
        Terms("stated", "Gemma terms: a model trained on it is a derivative, and the prohibited uses go along"),
    ),
    (
        r"openai.*|gpt.*(?:terms|tos)",
        Terms("stated", "OpenAI terms of use: no output may serve to develop models that compete with OpenAI"),
    ),
    (
        r"(?:.*[-_ ])?(?:cc-by-nc.*|non-?commercial.*|nc|research(?:-only)?.*|mrl)",
        Terms("alone", "for non-commercial or research use only, which other rows of the dataset are not bound to"),
    ),
    (
        r"cc-by-(?:nd|nc-nd).*",
        Terms("alone", "no derivatives: a row must not be changed or put into a collection that was"),
    ),
    (r"cc-by-sa.*|.*gpl.*", Terms("stated", "share alike: whoever passes rows on does it under the same licence")),
    (r"(?:bigscience-|creativeml-|bigcode-)?openrail.*", Terms("stated", "RAIL: its prohibited uses go along")),
    (r"cc-by-[234].*|cc-by", Terms("stated", "attribution: name the model")),
    (r"apache-?2\.?0?.*|mit|bsd.*|cc0.*|unlicense|isc", Terms("free", "nothing is asked of its output")),
)
_UNKNOWN = Terms("stated", "not known to Sparring: read it before you pass the rows on")


def terms(licence: str) -> Terms:
    name = re.sub(r"[\s_]+", "-", licence.strip().lower()).removesuffix("-license").removesuffix("-licence")
    return next((found for pattern, found in _KNOWN if re.fullmatch(pattern, name)), _UNKNOWN)


def check(found: Manifest) -> None:
    """Raises `UserError` where a generator's terms forbid that its rows stand beside the others.

    A licence in `found.accepted` passes: the owners have other terms with its maker, and the card says that they say so.
    """
    kinds = found.count(_maker)
    for model, licence in sorted({(model, licence) for _, model, licence in kinds if licence}):
        said = terms(licence)
        others = sorted({_named(kind) for kind in kinds if (kind[1], kind[2]) != (model, licence)})
        if said.kind == "alone" and others and licence not in found.accepted:
            raise UserError(
                f"rows by {model or 'a generator'} ({licence}) must not be mixed with others; {said.says}. "
                f"Beside them stand rows of {', '.join(others[:5])}. Fix: another generator, or a repository of its own; "
                f"`--accept-terms {licence}` where you have other terms with its maker"
            )


def _maker(count: Count) -> tuple[str, str, str]:
    """(origin, model, licence); what no model wrote has neither."""
    return count.origin, count.model or "", (count.licence or "") if count.model else ""


def _named(kind: tuple[str, str, str]) -> str:
    origin, model, licence = kind
    return f"{model} ({licence or 'no licence stated'})" if model else ("real origin" if origin == "real" else "attacks")
