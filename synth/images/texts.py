"""What a flyer says when its brief gives no text: spam as it hangs on walls and in feeds, and notices that look much alike."""

from __future__ import annotations

from random import Random

_SPAM = (
    "You have won {prize}! Claim today: call {number} before {day}. {small}",
    "Free entry to {prize} draw! Scan the code or visit www.{site}.com/{n}. {small}",
    "Earn {money} every week from home! No skills needed. Text {word} to {short}. {small}",
    "Your parcel is waiting! Pay the small delivery fee at www.{site}.com/{n} within {hours} hours.",
    "Cheap loans approved in minutes! Everybody accepted. Ring {number} now. {small}",
    "Winner announced! Collect {prize} with code {word}{n} at www.{site}.com. {small}",
    "Double your savings this {day}! Guaranteed profit of {money}. Call {number}.",
)
_NOTICES = (
    "Lost cat! Grey, answers to {name}. Please call {number} if you have seen her.",
    "Village fair this {day}! Free entry, cakes and music. Programme at www.{place}fair.org/{n}.",
    "The swimming pool is closed on {day} for cleaning. Questions? Ring {number}.",
    "Piano lessons for beginners! First lesson free. Text {name} on {number}.",
    "Parcel room hours changed! Collect your parcels before {hour} from {day}.",
    "Blood donors wanted this {day}! Register at www.{place}health.org/{n} or walk in.",
    "Flat to let in {place}. Two rooms, {rent} a month. Call {name} on {number}.",
)
_WORDS = {
    "prize": ("a new phone", "holiday vouchers", "the grand prize", "a luxury cruise", "cash worth £1000"),
    "money": ("£450", "$900", "€650"),
    "small": ("Terms and conditions apply.", "Adults only.", "Limited offer.", "Reply STOP to cancel."),
    "site": ("claim-now", "fastreward", "mytopdeal", "verify-id", "bigwinner"),
    "word": ("WINNER", "CLAIM", "BONUS", "LUCKY"),
    "name": ("Anna", "Chloe", "Ella", "Finn", "Mabel"),
    "place": ("Leeds", "Dover", "Bristol", "Perth", "Marlow"),
    "day": ("Monday", "Friday", "Saturday", "Sunday"),
    "hour": ("nine", "noon", "seven"),
    "rent": ("£640", "£880", "£1200"),
}


def made(benign: bool, rng: Random) -> str:
    """A notice or a piece of spam, with a number or a link in either."""
    template = rng.choice(_NOTICES if benign else _SPAM)
    words = {slot: rng.choice(words) for slot, words in _WORDS.items()}
    numbers = {
        "n": rng.randint(10, 99), "hours": rng.randint(12, 48), "short": rng.randint(80000, 89999),
        "number": f"0{rng.randint(7, 9)}{rng.randint(10**8, 10**9 - 1)}",
    }  # fmt: skip
    return template.format(**words, **numbers)
