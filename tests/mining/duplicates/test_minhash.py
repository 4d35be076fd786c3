from __future__ import annotations

import itertools
import unicodedata
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.duplicates import minhash
from mining.duplicates.pairs import Pairs
from sparring.text import canonical

WORDS = """free entry win a prize claim now call this is the last chance to get your cash at our site today see you soon it was
so nice meeting mum and dad tonight we eat at six ask sales about test results please send me an order number""".split()
LEET = str.maketrans("aeiostAEIOST", "431057431057")
BOLD = {**{97 + i: 0x1D41A + i for i in range(26)}, **{65 + i: 0x1D400 + i for i in range(26)}}
CYRILLIC = str.maketrans("aceopxy", "асеорху")
DISGUISES = {
    "leet": lambda text, rng: text.translate(LEET),
    "some leet": lambda text, rng: "".join(c.translate(LEET) if rng.random() < 0.5 else c for c in text),
    "homoglyph": lambda text, rng: "".join(c.translate(CYRILLIC) if rng.random() < 0.6 else c for c in text),
    "zero width": lambda text, rng: "".join(c + "\u200b" * (rng.random() < 0.4) for c in text),
    "bold": lambda text, rng: text.translate(BOLD),
    "spaced": lambda text, rng: " ".join(text.replace(" ", "")),
    "spaced words": lambda text, rng: " ".join(" ".join(w) if rng.random() < 0.6 else w for w in text.split()),
    "dots": lambda text, rng: " ".join(".".join(w) for w in text.split()),
    "punctuation": lambda text, rng: f"*** {text.upper()} !!!",
}


def sentences(seed: int, n: int = 150) -> list[str]:
    rng = Random(seed)
    made = [f"{' '.join(rng.choices(WORDS, k=rng.randint(5, 20)))} {rng.randint(100, 10**9)}" for _ in range(n)]
    return [text.capitalize() for text in made]


def as_set(pairs: Pairs) -> set[tuple[int, int]]:
    return set(zip(pairs.row.tolist(), pairs.other.tolist(), strict=True))


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_disguised_copy_is_found(disguise):
    rng, texts = Random(1), sentences(0)
    copies = [DISGUISES[disguise](text, rng) for text in texts]
    assert all(a != b for a, b in zip(texts, copies, strict=True))
    found = as_set(minhash.find([*texts, *copies]).pairs)
    assert np.mean([(i, i + len(texts)) in found for i in range(len(texts))]) >= 0.98


def folded(text: str) -> str:
    same = dict(zip("4@31l|05$7", "aaeiiiosst", strict=True))
    out = ""
    for c in canonical(text).lower():
        if c in same or unicodedata.category(c)[0] in "LMN" or (not c.isascii() and unicodedata.category(c)[0] == "S"):
            out += same.get(c, c)
    return out


def jaccard(a: str, b: str) -> float:
    if not a or not b:
        return 0.0
    one, two = ({t.ljust(5, "\0")[i : i + 5] for i in range(max(1, len(t) - 4))} for t in (a, b))
    return len(one & two) / len(one | two)


def test_a_similarity_is_the_higher_of_two_exact_ones_and_no_pair_stands_below_the_threshold():
    rng, texts = Random(2), sentences(1, 120)
    cut = [(text.split(), rng.randrange(4)) for text in texts]
    texts += [" ".join(w[:i] + w[i + 1 :]) for w, i in cut] + [t.translate(LEET) for t in texts]
    texts += ["", ":)", "!!", "ok", "OK", "0k", "u 2", "u 7", "🎁", "🎉"]
    found = minhash.find(texts, threshold=0.6)
    forms, folds = [canonical(text, "mask") for text in texts], [folded(text) for text in texts]
    near = {
        (i, j): max(jaccard(forms[i], forms[j]), jaccard(folds[i], folds[j]))
        for i, j in itertools.combinations(range(len(texts)), 2)
    }
    wanted = {pair for pair, value in near.items() if value > 0.6}
    assert as_set(found.pairs) <= wanted
    assert len(as_set(found.pairs)) >= 0.99 * len(wanted) > 150
    for row, other, value in zip(found.pairs.row, found.pairs.other, found.pairs.similarity, strict=True):
        assert value == pytest.approx(near[row, other], abs=1e-6)
    low, high, n = found.recall[1:]
    assert low <= 1 == high
    assert n > 0


@pytest.mark.parametrize(
    ("text", "undone"),
    [
        ("see  you\nat home", ()),
        ("fr\u200bee", ("unicode",)),
        ("caf\u00e9", ("unicode",)),
        ("fr33 entry", ("deobfuscate",)),
        ("f r e e entry", ("deobfuscate",)),
        ("call 08001234567", ("mask",)),
        ("look at www.x.com", ("mask",)),
        ("ｆｒ33 at 10", UNDONE := ("unicode", "deobfuscate", "mask")),
    ],
)
def test_what_was_undone_is_recorded(text, undone):
    found = minhash.find([text])
    assert [name for bit, name in enumerate(minhash.UNDONE) if found.undone[0] >> bit & 1] == list(undone)
    assert list(found.forms) == [canonical(text, "mask")]


def test_a_flood_of_one_message_pairs_every_row_and_says_what_it_left_out():
    texts = [f"your code is {i}" for i in range(1000, 1100)] + ["see you at the station tonight", "and quite another one here"]
    found = minhash.find(texts)
    assert len(np.unique(np.r_[found.pairs.row, found.pairs.other])) == 100
    first = {int(r) for r in found.pairs.row if (np.r_[found.pairs.row, found.pairs.other] == r).sum() == 99}
    assert len(first) == minhash.MOST, "some rows are paired with all others, so that one of them can stand for all"
    assert found.left_out == 84 * 83 // 2
    assert 100 * 99 // 2 - found.left_out <= len(found.pairs) < 100 * 99 // 2


message = st.sampled_from(
    ["win a free prize now", "w1n 4 fr33 pr1z3 n0w", "see you at home later", "see you at home latr", "ok", ""]
)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(message, st.sampled_from(["", " 5", " 77", "!"])).map("".join), max_size=60),
    st.randoms(use_true_random=False),
)
def test_shuffled_rows_have_the_same_pairs(texts, rng):
    order = list(range(len(texts)))
    rng.shuffle(order)
    found, again = minhash.find(texts), minhash.find([texts[i] for i in order])
    assert sorted(sorted((texts[a], texts[b])) for a, b in as_set(found.pairs)) == sorted(
        sorted((texts[order[a]], texts[order[b]])) for a, b in as_set(again.pairs)
    )
    assert again.undone.tolist() == [found.undone[i] for i in order]
    assert (again.left_out, again.recall) == (found.left_out, found.recall)


@pytest.mark.parametrize("texts", [[], [""], ["", ""], [":)"]])
def test_nothing_to_pair(texts):
    found = minhash.find(texts)
    assert len(found.undone) == len(found.forms) == len(texts)
    assert found.recall is None
    assert len(found.pairs) == (1 if len(texts) == 2 else 0)
