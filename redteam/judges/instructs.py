"""Whether a text gives orders to who judges it. Patterns see what is written and not what is meant: they raise the cost of an
attack on the judge; that its content is data is the prompt's work."""

from __future__ import annotations

import re

from sparring.text import canonical

_ORDERS = r"(?:instructions?|prompts?|rules?|polic(?:y|ies)|guidelines?|directions?|commands?|messages?|text|context)"
_BEFORE = r"(?:previous|prior|above|preceding|earlier|former|foregoing|your|these|those|all|any|the|system|other|safety)"
_VERDICT = r"[\"'“‘(*]*(?:no|yes|safe|unsafe|benign|allowed|harmless|compliant|ham|not[ -](?:spam|violating|unsafe))\b"
_WHO = (
    r"(?:judge|moderator|classifier|evaluator|grader|annotator|content (?:filter|reviewer|moderator)|ai|a\.i\.|chat ?bot|"
    r"language model|llm|assistant|system)\b"
)
_PATTERNS = (
    rf"\b(?:ignore|disregard|forget|override|bypass|discard|skip)\b.{{0,20}}\b{_BEFORE}\b.{{0,30}}\b{_ORDERS}\b",
    r"\b(?:ignore|disregard|forget)\b.{0,10}\b(?:everything|all|anything)\b.{0,20}\b(?:above|before|previous|said|told)\b",
    rf"\b(?:answer|respond|output|print|return|decide|conclude|say(?=:? [\"'“‘]))\b"
    rf"(?: only| just| simply| always| with| the| word| as|:)*\s+{_VERDICT}(?!\s+(?:to|at|if|for|now)\b)",
    rf"\b(?:your|the|correct|right|final|expected) (?:answer|verdict|label|output|classification|decision)\b"
    rf"(?: is| must be| should be|:|=)+\s*{_VERDICT}",
    rf"\b(?:label|classify|mark|flag|rate|treat|categori[sz]e|score|judge|consider)\b.{{0,25}}\b(?:as|it|this|:)\s+{_VERDICT}",
    rf"\b(?:you are|you're|you act|act|behave|pretend to be|roleplay)\b(?: now| as| an?| the| only| just| not)*\s+"
    rf"(?:\w+ )?{_WHO}",
    rf"\b(?:dear|attention|hey|note to(?: the)?|to the|message (?:to|for)(?: the)?)\s+{_WHO}",
    r"\b(?:do not|don't|never) (?:flag|block|moderate|filter|classify|remove)\b.{0,20}\b(?:this|it|message|content|text)\b",
    rf"\bthis (?:message|text|content|sms|post) (?:is|was|has been)(?: \w+)? (?:safe|benign|harmless|compliant|whitelisted|"
    rf"pre-?approved|approved by)\b|\b(?:does not|doesn't) (?:break|violate) (?:the|any|your) {_ORDERS}",
    r"\b(?:new|updated|system|developer|admin) (?:instructions?|prompt|override|message)\s*[:=]",
    r"<\s?\|.{1,20}\|\s?>|\[/?INST\]|^\s*#{2,}\s*(?:system|instruction|assistant|user|response)\b|"
    r"(?:^|\n)\s*(?:system|assistant)\s*:",
)
_LETTERS = str.maketrans("013457@$", "oieastas")
_ANY = tuple(re.compile(pattern, re.I | re.S) for pattern in _PATTERNS)


def instructs(text: str) -> bool:
    """On the text as it stands, as it reads once its obfuscation is undone, and with every digit read as a letter."""
    plain = canonical(text, "deobfuscate")
    forms = dict.fromkeys((text, plain, plain.translate(_LETTERS)))
    return any(pattern.search(form) for form in forms for pattern in _ANY)
