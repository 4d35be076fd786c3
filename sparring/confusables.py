"""Letters that look like Latin ones: a selection of Unicode's confusables (https://www.unicode.org/reports/tr39/)."""

from __future__ import annotations

# Cyrillic and Greek letters first: what real attackers reach for. One look-alike string for each Latin letter.
_LOOKS_LIKE = {
    "a": "аαɑ", "b": "Ьƅ", "c": "с", "d": "ԁɗ", "e": "еҽ", "g": "ɡց", "h": "һհ", "i": "іιı", "j": "јϳ", "k": "кκ",
    "l": "ӏǀ", "m": "м", "n": "пո", "o": "оοօ", "p": "рρ", "q": "ԛզ", "r": "гᴦ", "s": "ѕꜱ", "t": "тτ", "u": "υս",
    "v": "νѵ", "w": "ԝա", "x": "хχ", "y": "уγ", "z": "ᴢ",
    "A": "АΑ", "B": "ВΒ", "C": "С", "E": "ЕΕ", "H": "НΗ", "I": "ІΙ", "J": "Ј", "K": "КΚ", "M": "МΜ", "N": "Ν",
    "O": "ОΟ", "P": "РΡ", "S": "Ѕ", "T": "ТΤ", "X": "ХΧ", "Y": "ҮΥ", "Z": "Ζ",
}  # fmt: skip
# Without that of i, which some African languages write as a letter of its own.
SMALL_CAPITALS = dict(zip("abcdefghjklmnoprstuvwyz", "ᴀʙᴄᴅᴇꜰɢʜᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", strict=True))
# Read as Latin letters, but not written in their place as a homoglyph: they do not look the same.
_READ_ONLY = {"в": "b", "н": "h"} | {small: latin for latin, small in SMALL_CAPITALS.items()}
TO_LATIN = {look: latin for latin, looks in _LOOKS_LIKE.items() for look in looks} | _READ_ONLY
FROM_LATIN = {latin: tuple(looks) for latin, looks in _LOOKS_LIKE.items()}
