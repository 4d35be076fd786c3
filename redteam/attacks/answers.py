"""What of a language model's answer is a rewrite: JSON where it keeps to the form, and whatever comes near it where not."""

from __future__ import annotations

import json
import re
from typing import Any

_THINKING = re.compile(r"<think>.*?(?:</think>|\Z)", re.S)
_BRACKET, _OPENED = re.compile(r"[\[{]"), re.compile(r'[\[{]\s*"')
_STRING = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?')  # and what follows a key
_ITEM = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)])\s+(.*\S)", re.M)
MOST = 50  # brackets that JSON is looked for behind
_KEYS = ("rewrites", "rewrite", "text", "message")


def parse(answer: str) -> list[str]:
    """The rewrites in an answer, each once: a JSON list however it is wrapped or cut off, else the items of a list, else one
    text.

    >>> parse('Sure! {"rewrites": ["call me", "ring me')
    ['call me']
    >>> parse("1. call me\\n2. ring me")
    ['call me', 'ring me']
    """
    answer = _THINKING.sub("", answer).strip()
    found = _json(answer)
    if not found and (begun := _OPENED.search(answer)):  # cut off: whole strings stay
        found = [_loaded(m[1]) for m in _STRING.finditer(answer, begun.start()) if not m[2]]
    if not found and not answer.startswith(("[", "{", "```")):
        found = [item.strip('"') for item in _ITEM.findall(answer)] or [answer.strip('"` \n')]
    return list(dict.fromkeys(text for item in found if (text := item.strip())))


def _json(answer: str) -> list[str]:
    """The strings of the first JSON list or object in the answer that is whole and holds some."""
    decoder = json.JSONDecoder(strict=False)
    for start in [m.start() for m in _BRACKET.finditer(answer)][:MOST]:
        try:
            value, _ = decoder.raw_decode(answer, start)
        except (ValueError, RecursionError):
            continue
        if found := _strings(value):
            return found
    return []


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        named = [value[key] for key in _KEYS if key in value]
        value = named[:1] or list(value.values())
    return [text for item in value for text in _strings(item)] if isinstance(value, list) else []


def _loaded(literal: str) -> str:
    try:
        return str(json.loads(literal, strict=False))
    except ValueError:
        return ""
