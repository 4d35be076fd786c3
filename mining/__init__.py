"""Finds what is worth labelling and training on."""

PARTS: dict[str, dict[str, str]] = {}
