"""What a language model is asked, and what of its answer is a message. Nothing here knows a policy or a language."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sparring.policy import Category, Clause, Policy

LONGEST = 600  # characters of an example that are shown

# Short, because small models follow no long ones: of thirty designs this had the highest yield with SmolLM2-135M.
_CHANGES = (
    "new words",
    "new words and new names",
    "new words, for another person",
    "new words, from another sender",
    "new words, for another place and time",
    "new words, for another occasion",
)
_STYLES = ("", "Make it urgent.", "Make it casual.", "Make it formal.", "Make it short.", "Make it long.")
_SENDERS = ("somebody", "a stranger", "an acquaintance", "a company", "an office", "a group", "a celebrity")
_LANGUAGES = {
    "ar": "Arabic", "bn": "Bengali", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "no": "Norwegian", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "sw": "Swahili", "th": "Thai", "tr": "Turkish",
    "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


def render(policy: Policy, category: Category, clause: Clause, examples: Sequence[str], *, variant: int) -> tuple[str, str]:
    """(system, user): asks for one new message that breaks `clause`. `variant` turns through changes, styles and lengths.

    One example is to be written anew, which small models do best; of several, pairs show what "new" means. Without
    examples the category's own stand in.
    """
    language = _LANGUAGES.get(policy.language.split("-")[0].lower(), policy.language)
    rule = clause.text.strip()
    style = _STYLES[variant % len(_STYLES)]
    turn = variant // len(_STYLES)
    shown = [_cut(example) for example in examples]
    if not shown and category.examples:
        shown = [_cut(category.examples[variant % len(category.examples)])]
    if not shown:
        sender = _SENDERS[turn % len(_SENDERS)]
        ask = f"Write one short message that {sender} sends, in {language}. It breaks this rule: {rule} {style}".strip()
        return "You write examples for a filter. You answer with one message and nothing else.", ask
    system = f"You rewrite {'' if language == 'English' else language + ' '}messages. They break this rule: {rule}"
    if len(shown) == 1:
        change = _CHANGES[turn % len(_CHANGES)]
        return system, f"Rewrite this message with {change}. {style}".strip() + f"\n\n{shown[0]}"
    pairs = zip(shown[:-1:2], shown[1::2], strict=False)
    ask = "".join(f"Message: {before}\nNew message: {after}\n\n" for before, after in pairs)
    return system, f"{ask}Message: {shown[-1]}\nNew message:"


def _cut(text: str) -> str:
    return text.strip() if len(text.strip()) <= LONGEST else text.strip()[:LONGEST].rsplit(" ", 1)[0] + " …"


# --- what of an answer is a message ---------------------------------------------------------------------------------

_THING = r"(?:message|version|example|text|post|comment|reply|response|output|answer|sample|option)"
_I_HAVE = r"i(?:'ve|’ve| have|'ll|’ll| will| can)"
_HERE_IS = r"here(?:'s|’s| is| are)"
_LABEL = rf"(?:assistant|user|system|subject|body|sms|{_THING})(?: ?\d{{1,2}})?\s*:"
_THINKING = re.compile(r"<think>.*?(?:</think>|\Z)", re.S)
_FENCED = re.compile(r"```[^\n`]*\n(.*?)(?:```|\Z)", re.S)
_OPENINGS = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        r"(?:sure|certainly|of course|absolutely)\b[^\n:.!]{0,40}[:!.]\s+",
        rf"(?:{_HERE_IS}|below is|{_I_HAVE})\b[^:\n]{{0,120}}\b{_THING}s?\b[^:\n]{{0,60}}:\s*",
        rf"(?:(?:the|my|an?) )?(?:new|rewritten|revised|changed|original|rewrite (?:the|this)) {_THING}\b[^:\n]{{0,60}}:\s*",
        rf"(?:[-*•–#]+\s+|\(?\d{{1,2}}[.)]\s+|{_LABEL}\s*)",
        r"[^\n]{0,120}:[ \t]*\n[ \t]*\n",  # in any language: a line that announces, then an empty one
    )
)
_NEXT = re.compile(rf"\s*(?:\(?\d{{1,2}}[.)]\s|(?:new )?{_LABEL}|-{{3}}|={{3}})", re.I)
_REMARK = re.compile(
    rf"\W*(?:note:|explanation\b|please note\b|(?:in )?(?:this|the) (?:\w+ ){{0,2}}{_THING}\b|let me know\b|feel free\b|"
    rf"{_HERE_IS}\b|the rule\b|{_I_HAVE} (?:added|changed|created|replaced|rewritten|made|tried|kept|remove))",
    re.I,
)
_REFUSAL = re.compile(
    r"\W*(?:i(?:'m|’m| am) (?:(?:so|very|really) )?(?:sorry|unable|not able|(?:just )?an? (?:ai|text|language))|i apologi[sz]e|"
    r"sorry,? (?:but )?i\b|i (?:can(?:no|['’])t|won['’]t) (?!wait)|as an? (?:ai|text|language)|unfortunately,? i\b|"
    r"lo siento|no puedo|(?:je suis )?désolé|(?:es )?tut mir leid|ich kann|mi dispiace|non posso|desculpe|não posso|"
    r"к сожалению|извините|抱歉|对不起|申し訳|죄송)",
    re.I,
)
_HELPER = re.compile(
    r"\b(?:assist|help|fulfil|creat|generat|provid|comply|writ|request|content|misunderst|confusion|language model|ai\b|"
    r"ayudar|generar|aider|fournir|générer|helfen|erstellen|aiutar|ajudar|gerar|помочь|создать)|不能|无法|できません|없습니다",
    re.I,
)
_BLANK = re.compile(
    r"[\[<{](?:your|recipient|insert|name|company|link|phone|number|date|amount|user|customer|sender)\b[^\]>}\n]{0,40}[\]>}]",
    re.I,
)
_QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "「": "」", "`": "`"}


def parse(text: str, *, paragraphs: int | None = None) -> str | None:
    """The message that an answer holds, or None: a refusal, an empty answer, talk about the task, blanks, a loop.

    What stands around it goes: thoughts, fences, announcements, roles, numbers, quotes, later items, remarks behind it,
    and whatever comes after `paragraphs` paragraphs.

    >>> parse('Sure! Here is a new message:\\n\\n1. "Meet me at noon, bring the money."\\n2. "Call me."')
    'Meet me at noon, bring the money.'
    >>> parse("I'm sorry, but I can't help with that request.")
    """
    text = _THINKING.sub("", text).replace("**", "").strip()
    if fenced := _FENCED.search(text):
        text = fenced[1].strip()
    if _REFUSAL.match(text) and _HELPER.search(text[:200]):
        return None
    while opening := next((found for pattern in _OPENINGS if (found := pattern.match(text))), None):
        text = text[opening.end() :].strip()
    text = _unquoted(_first(text, paragraphs))
    blank = _REMARK.match(text) or _BLANK.search(text) or sum(c.isalpha() for c in text) < 3
    return None if blank or _loops(text) else text


def _first(text: str, paragraphs: int | None) -> str:
    """The first item, up to the next one or a remark; at most so many paragraphs, a greeting not counted."""
    kept: list[str] = []
    for line in text.split("\n"):
        if kept and (_NEXT.match(line) or _REMARK.match(line)):
            break
        if not line.strip() and kept and kept[-1].strip() and not kept[-1].rstrip().endswith((",", ":")):
            paragraphs = None if paragraphs is None else paragraphs - 1
            if paragraphs == 0:
                break
        kept.append(line.rstrip())
    return "\n".join(kept).strip()


def _unquoted(text: str) -> str:
    close = _QUOTES.get(text[:1])
    end = text.rfind(close) if close else -1
    if end < 1 or text[end + 1 :].strip(" .\n"):
        return text
    return text[1:end].strip()


def _loops(text: str) -> bool:
    """Small models fall into repeating themselves: fewer than 7 in 10 of the first 5-grams are new (1 real row in 1,700)."""
    grams = [text[i : i + 5] for i in range(min(len(text), 300) - 4)]
    return len(grams) > 35 and len(set(grams)) < 0.7 * len(grams)
