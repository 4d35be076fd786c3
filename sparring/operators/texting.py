from __future__ import annotations

from random import Random

from .base import CORE, WordOperator

_BOTH_WAYS = """
    you u  your ur  are r  please pls  thanks thx  text txt  message msg  messages msgs  today 2day  tonight 2nite
    tomorrow 2moro  great gr8  later l8r  mate m8  wait w8  before b4  forget 4get  forever 4eva  someone some1
    anyone any1  everyone every1  because cos  people ppl  love luv  what wot  that dat  with wiv  have hav  know kno
    would wud  could cud  should shud  going goin  coming comin  night nite  right rite  week wk  weekly wkly
    weekend wkend  minutes mins  hours hrs  phone fone  number numba  friend frnd  birthday bday  picture pic
    pictures pics  really rly  probably prolly  about abt  from frm  through thru  though tho  enough enuf  easy ez
    sorry sry  reply rply  account acct  customer cust  service svc  guaranteed gtd  tickets tkts  competition comp
    information info  double dbl  christmas xmas  okay ok
"""
_ONE_WAY = "for 4  to 2  too 2  one 1  be b  see c  and n  why y  mobile mob"  # "2 tickets" are not "to tickets"


def _pairs(table: str) -> dict[str, str]:
    words = table.split()
    return dict(zip(words[::2], words[1::2], strict=True))


_SHORT = _pairs(_BOTH_WAYS)
OTHER = _SHORT | {short: long for long, short in _SHORT.items()} | _pairs(_ONE_WAY)


class Texting(WordOperator):
    """Swaps an English word for its abbreviation in text messages, or the other way round: "please" and "pls"."""

    name = "texting"
    family = "word"
    language = "en"
    preserves = "meaning, capitalisation, punctuation, word count, payload"

    def can_edit(self, word: str) -> bool:
        core = CORE.fullmatch(word)
        return bool(core and core[2].lower() in OTHER)

    def edit(self, word: str, rng: Random) -> str:
        before, core, after = CORE.fullmatch(word).groups()  # type: ignore[union-attr]
        other = OTHER[core.lower()]
        if core.isupper() and (len(core) > 1 or len(other) == 1):
            other = other.upper()
        elif core[0].isupper():
            other = other[0].upper() + other[1:]
        return before + other + after
