from __future__ import annotations

from random import Random

from ..errors import JobError
from .base import CORE, WordOperator, in_case_of

# Function words that have one common counterpart of one word; none that carries what a message is about, and no negation.
_TABLE = """
    en       es         fr           de          it        pt          hi
    and      y          et           und         e         e           aur
    or       o          ou           oder        o         ou          ya
    but      pero       mais         aber        ma        mas         lekin
    if       si         si           wenn        se        se          agar
    because  porque     car          weil        perché    porque      kyunki
    when     cuando     quand        wann        quando    quando      jab
    where    dónde      où           wo          dove      onde        kahan
    how      cómo       comment      wie         come      como        kaise
    who      quien      qui          wer         chi       quem        kaun
    with     con        avec         mit         con       com         saath
    without  sin        sans         ohne        senza     sem         bina
    for      para       pour         für         per       para        -
    from     de         de           von         da        de          se
    until    hasta      -            bis         -         até         tak
    before   antes      avant        vor         prima     antes       pehle
    after    después    après        nach        dopo      depois      baad
    between  entre      entre        zwischen    tra       entre       beech
    also     también    aussi        auch        anche     também      bhi
    only     solo       seulement    nur         solo      só          sirf
    very     muy        très         sehr        molto     muito       bahut
    more     más        plus         mehr        più       mais        zyada
    every    cada       chaque       jede        ogni      cada        har
    always   siempre    toujours     immer       sempre    sempre      hamesha
    again    nuevamente encore       wieder      ancora    novamente   phir
    then     entonces   alors        dann        allora    então       tab
    maybe    quizás     peut-être    vielleicht  forse     talvez      shayad
    here     aquí       ici          hier        qui       aqui        yahan
    now      ahora      maintenant   jetzt       ora       agora       abhi
    today    hoy        aujourd’hui  heute       oggi      hoje        aaj
    tomorrow mañana     demain       morgen      domani    amanhã      kal
    please   porfa      svp          bitte       -         -           kripya
    thanks   gracias    merci        danke       grazie    obrigado    shukriya
    hello    hola       bonjour      hallo       ciao      olá         namaste
    yes      sí         oui          ja          sì        sim         haan
"""
_HEAD, *_ROWS = (line.split() for line in _TABLE.strip().split("\n"))
LANGUAGES = {name: {row[0]: row[i] for row in _ROWS if row[i] != "-"} for i, name in enumerate(_HEAD) if i}


class Codemix(WordOperator):
    """Swaps an English function word for another language's: "call now and win" becomes "call ahora y win"; `into` names it."""

    name = "codemix"
    family = "language"
    language = "en"
    preserves = "what the message is about, in English; meaning for one who knows both, capitalisation, word count, payload"
    hides = True

    def __init__(self, *, into: str = "es"):
        if into not in LANGUAGES:
            raise JobError(f"operator 'codemix': expected a language out of {', '.join(LANGUAGES)} in `into`; got {into!r}")
        self.into = into

    def can_edit(self, word: str) -> bool:
        core = CORE.fullmatch(word)
        return bool(core and core[2].lower() in LANGUAGES[self.into])

    def edit(self, word: str, rng: Random) -> str:
        before, core, after = CORE.fullmatch(word).groups()  # type: ignore[union-attr]
        return before + in_case_of(core, LANGUAGES[self.into][core.lower()]) + after
