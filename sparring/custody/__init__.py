"""What Sparring never makes: sexual content that involves minors. A screen of text that refuses, whatever a flag says.

It stands on every prompt, seed and output, and on every policy, so that a category under another name or in another
language does not pass. It is lexical and deterministic: terms for minors and ages below eighteen (`terms`, 19
languages) near sexual terms, and terms that are enough alone. A text is read in forms that undo look-alike letters,
zero-width characters, leet, masks (`w*rd`), spacing, joined words, and one slip of the pen in a word.

What a screen of words cannot do, and nobody should believe that it does: it knows no paraphrase, no euphemism or code
that is not listed, no age that must be worked out (a year of birth), no language that is not listed, no text hidden by
encryption, encoding or reversal, and nothing of what stands in images, audio or video. It is one layer. A generator of
images needs a screen of images; a language model needs its own safety training; people must report what they find.

It errs on the side of refusal: reports, helplines, medical and legal texts that name the offence are refused as well,
and so are rows where children are mentioned a few words from something sexual by chance. A prompt that says "never write
about minors" beside sexual terms is refused too: such a line is not needed here, leave it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ProhibitedContent

if TYPE_CHECKING:
    from ..policy import Category, Policy

_REFUSAL = (
    "expected text that Sparring may handle; got what reads as sexual content that involves minors, which it never makes. "
    "No policy, flag or setting lifts this. Fix: take it out"
)


def check_text(text: str, *parts: str) -> None:
    """Raises `ProhibitedContent` for `text`, for each of `parts` (a prompt, a seed, an output), and for all of them
    read together, so that what is split over them does not pass. The message repeats nothing of them."""
    if is_prohibited(text, *parts):
        raise ProhibitedContent(f"{_REFUSAL}.")


def is_prohibited(text: str, *parts: str) -> bool:
    """Whether `check_text` refuses."""
    from .screen import TEXT, TOGETHER, judge  # here and below, for its word lists take a while to load

    if any(judge(part, TEXT) for part in (text, *parts)):
        return True
    return bool(parts) and judge("\n".join((text, *parts)), TOGETHER)


def check_policy(policy: Policy) -> None:
    """Raises `ProhibitedContent`, naming the category, for one that asks for sexual content with minors under another
    hazard, and for examples of it. A category of hazard `cse` may stand, for a classifier to know, but without examples.

    What says that it is forbidden may say so: `description`, `allowed`, `ambiguity`, and the definition and clauses of a
    category that is never generated. None of that may reach a generator without passing `check_text`.
    """
    for category in policy.categories:
        if reason := _why_refused(category):
            raise ProhibitedContent(f"category {category.name!r}: {reason}.")


def _why_refused(category: Category) -> str | None:
    from .screen import CATEGORY, judge

    shown = (*category.examples, *category.allowed_examples, *category.terms)
    if category.hazard == "cse" and shown:
        return "expected no examples under hazard `cse`; got some. No policy, flag or setting lifts this. Fix: remove them"
    if any(judge(text, CATEGORY) for text in shown):
        return f"{_REFUSAL} of `examples`"
    clauses = (f"{clause.id}: {clause.text}" for clause in category.clauses)
    said = "\n".join([category.name, category.definition, *clauses, *shown])
    if category.may_generate and judge(said, CATEGORY):
        return f"{_REFUSAL}, or give a category that only a classifier needs to know the hazard `cse`"
    return None
