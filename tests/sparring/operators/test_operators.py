"""What every registered operator promises, on any text."""

from __future__ import annotations

import string
import time
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparring import registry
from sparring.operators.base import WordOperator, editable
from sparring.text import canonical, payload

OPERATORS = [registry.make("operator", name) for name in registry.names("operator")]
WORD_OPERATORS = [op for op in OPERATORS if isinstance(op, WordOperator)]
UNDONE = [op for op in OPERATORS if op.undone_by]

any_char = st.characters(exclude_categories=())  # lone surrogates too
tokens = (
    "free please YOU Today tomorrow entry. (cash) won't a I 2 u £100 $ $5 boss 87121 08452810075 www.free.com ww.free "
    "x.y a.b.c f-r-e-e fr33 h3llo W45WQ mp3 1st abc1234e info@mail.fr c@sh .com foo http http://a сон дом сорт ж π "
    "Москва деньги IT-отдел paypal рaypal मुफ़्त ไทย 무료 한 免费 café e\u0301 \u200bab ab\u00ad ﬁne ２０ ① ㎏ \ud800 ’tis “so” …"
)
words = st.one_of(
    st.sampled_from(tokens.split(" ")),
    st.text(any_char, min_size=1, max_size=6),
    st.text(string.ascii_letters + string.digits + string.punctuation, min_size=1, max_size=8),
)
texts = st.one_of(
    st.text(any_char, max_size=60),
    st.lists(st.tuples(words, st.sampled_from([" ", " ", " ", "  ", "\n", "\u00a0"])), max_size=12).map(
        lambda parts: "".join(word + space for word, space in parts)
    ),
)
ascii_texts = st.text("aeiosTfR .-*'_@$|!01345£" + "\n", max_size=40)
strengths = st.floats(0.01, 1)
seeds = st.integers(0, 9)
thoroughly = settings(deadline=None, max_examples=150)

each = pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.name)
each_word_operator = pytest.mark.parametrize("op", WORD_OPERATORS, ids=lambda op: op.name)


def payloads(text: str, op) -> list[str]:
    return payload(text, op.payload)


@each
def test_says_what_it_is(op):
    assert registry.find("operator", op.name) is type(op)
    assert op.family in ("character", "word", "script", "language", "context", "dilution")
    assert op.preserves
    assert type(op).__doc__
    assert "\n" not in type(op).__doc__


@each
@thoroughly
@given(text=texts, strength=strengths, seed=seeds)
def test_the_same_seed_gives_the_same_text(op, text, strength, seed):
    once = op.apply(text, strength=strength, rng=Random(seed))
    assert isinstance(once, str)
    assert registry.make("operator", op.name).apply(text, strength=strength, rng=Random(seed)) == once


@each
@thoroughly
@given(text=texts, strength=strengths, seed=seeds)
def test_payload_is_neither_lost_nor_made(op, text, strength, seed):
    result = op.apply(text, strength=strength, rng=Random(seed))
    assert all(part in result for part in payload(text))
    assert payload(result) == payload(text)


@each
@thoroughly
@given(text=texts, seed=seeds)
@example(text="use code free now, code word", seed=0)
@example(text="buy now buy  now buynow", seed=0)
def test_a_policy_s_own_payload_is_kept(op, text, seed):
    own = registry.make("operator", op.name)
    own.payload = (r"code \w+", r"buy\s?now", r"[a-z]{2}\d")
    result = own.apply(text, strength=1, rng=Random(seed))
    assert payload(result, own.payload) == payload(text, own.payload)


@pytest.mark.parametrize("op", UNDONE, ids=lambda op: op.name)
@thoroughly
@given(text=texts | ascii_texts, strength=strengths, seed=seeds)
@example(text="a free day", strength=1, seed=1)
@example(text="£5x free £5", strength=1, seed=0)
@example(text="a b free", strength=1, seed=0)
@example(text="a b cash", strength=1, seed=0)
@example(text="boss 100", strength=1, seed=1)
@example(text="π paypal", strength=1, seed=0)
def test_is_undone_where_it_says_so(op, text, strength, seed):
    result = op.apply(text, strength=strength, rng=Random(seed))
    assert canonical(result, op.undone_by) == canonical(text, op.undone_by)


@each
@given(text=st.lists(st.sampled_from("aIuxж2é漢क!\u0301"), max_size=12).map(" ".join), seed=seeds)
@settings(deadline=None)
def test_single_characters_are_words_too(op, text, seed):
    result = op.apply(text, strength=1, rng=Random(seed))
    if op.undone_by:
        assert canonical(result, op.undone_by) == canonical(text, op.undone_by)


@each
@pytest.mark.parametrize("text", ["", " ", "\n\n", "12345 £5 www.a.com", "!!!"])
def test_what_cannot_be_edited_comes_back(op, text):
    if op.family != "dilution":
        assert op.apply(text, strength=1, rng=Random(0)) == text


vocabulary = "please claim your Message TODAY before tomorrow because something people would really receive tickets".split()


@each
@settings(deadline=None)
@given(text=st.lists(st.sampled_from(vocabulary), unique=True, min_size=1).map(" ".join), seed=seeds)
def test_more_strength_changes_at_least_as_much(op, text, seed):
    def changed(strength: float) -> int:
        result = op.apply(text, strength=strength, rng=Random(seed))
        if op.family == "dilution":
            return len(result) - len(text)
        return len(set(text.split()) - set(result.split()))

    assert changed(0.1) <= changed(1)
    assert changed(0.1) or not changed(1)


@each_word_operator
@thoroughly
@given(text=texts, seed=seeds, data=st.data())
def test_words_names_all_that_is_edited(op, text, seed, data):
    spans = op.spans(text)
    chosen = data.draw(st.sets(st.integers(0, len(spans) + 2), max_size=4))
    result = op.apply(text, strength=1, rng=Random(seed), words=sorted(chosen))
    position, at = 0, 0
    for start, end in [spans[i] for i in sorted(chosen) if i < len(spans)] + [(len(text), len(text))]:
        stretch = text[position:start]  # what stands between two of the chosen
        found = result.find(stretch, at)
        assert found >= 0 if position else result.startswith(stretch)
        position, at = end, found + len(stretch)
    assert result.endswith(text[position:])


@each_word_operator
def test_no_words_named_no_change(op):
    text = "please send me your message today"
    assert op.apply(text, strength=1, rng=Random(0), words=[]) == text


@each
@pytest.mark.parametrize("unit", ["a.", "яa ", "1 ", "a@b.", "fr33 ", "x", "£1 ", "a.a.a.a-b-", "e\u0301", "s e x in "])
def test_long_texts_take_no_more_than_their_length_in_time(op, unit):
    text = unit * (20_000 // len(unit))
    start = time.perf_counter()
    op.apply(text, strength=0.5, rng=Random(0))
    canonical(text, "mask")
    assert time.perf_counter() - start < 10  # a tenth of that, unless something grows with the square


def test_editable_counts_words_without_payload():
    assert editable("call 08452810075 for £ 100 now") == ((0, 4), (17, 20), (27, 30))
    assert editable("use code x9", (r"code \w+",)) == ((0, 3),)


def test_an_edit_that_would_make_payload_is_left_out_alone():
    merge = registry.make("operator", "merge")
    assert merge.apply("see foo .com", strength=1, rng=Random(0)) == "seefoo .com"
