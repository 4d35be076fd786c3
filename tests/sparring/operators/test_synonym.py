from random import Random

import nltk.corpus
import pytest
from nltk.corpus.reader import WordNetCorpusReader
from nltk.corpus.util import LazyCorpusLoader

from sparring.errors import JobError, MissingExtra, ReferenceNotFound
from sparring.operators import thesaurus
from sparring.operators.synonym import Synonym


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Buy a LARGE (car)", {"Purchase a HUGE (vehicle)", "Purchase a BIG (vehicle)"}),
        ("won't qwxzy 4 приз", {"won't qwxzy 4 приз"}),
        ("the one which would not", {"the one which would not"}),  # function words
    ],
)
def test_near_words_in_the_same_case(text, expected):
    found = {Synonym().apply(text, strength=1, rng=Random(seed)) for seed in range(30)}
    assert found == expected


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("sell", "buy"),
        ("good", "bad"),
        ("today", "yesterday"),
        ("correctly", "incorrectly"),
        ("win", "won"),
        ("purchase", "bought"),
    ],
)
def test_neither_opposites_nor_the_same_word_inflected(word, other):
    assert other not in thesaurus.near(word, similarity=0.55)


def test_the_threshold_is_a_setting():
    strict, loose = Synonym(similarity=0.7), Synonym(similarity=0.5)
    words = "large huge film movie army military quickly buy fast".split()
    assert sum(map(strict.can_edit, words)) < sum(map(loose.can_edit, words))
    assert repr(strict) == "Synonym(similarity=0.7, source='embeddings')"
    with pytest.raises(JobError, match=r"a mean cosine in \(0, 1\]; got 2"):
        Synonym(similarity=2)
    with pytest.raises(JobError, match="out of embeddings, wordnet; got 'moby'"):
        Synonym(source="moby")


@pytest.mark.parametrize(
    ("base", "inflected"),
    [
        ("ask", "asks asked asking"),
        ("reply", "replies replied replying"),
        ("use", "uses used using"),
        ("box", "boxes boxed boxing"),
    ],
)
def test_regular_endings(base, inflected):
    assert [thesaurus.inflect(base, ending) for ending in ("s", "ed", "ing")] == inflected.split()


@pytest.fixture
def wordnet(tmp_path, monkeypatch):
    """A WordNet database in a folder of NLTK's, of three senses: buy, purchase; buy, believe; answer, reply."""
    folder = tmp_path / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    for name in WordNetCorpusReader._FILES:
        (folder / name).write_text("")
    (folder / "lexnames").write_text("00\tverb.all\t2\n")
    senses = [("buy", "purchase"), ("buy", "believe"), ("answer", "reply")]
    data, index, counts = "", {}, []
    for n, words in enumerate(senses):
        for word in words:
            index.setdefault(word, []).append(len(data))
            counts.append(f"{word}%2:00:0{n}:: {len(index[word])} {9 - n}\n")
        members = " ".join(f"{word} {n}" for word in words)
        data += f"{len(data):08} 00 v {len(words):02x} {members} 000 00 | gloss\n"
    (folder / "data.verb").write_text(data)
    lines = (f"{w} v {len(at)} 0 {len(at)} 1 {' '.join(f'{o:08}' for o in at)}\n" for w, at in sorted(index.items()))
    (folder / "index.verb").write_text("".join(lines))
    (folder / "cntlist.rev").write_text("".join(sorted(counts)))
    (folder / "verb.exc").write_text("bought buy\nreplied reply\n")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    monkeypatch.setattr(nltk.corpus, "wordnet", LazyCorpusLoader("wordnet", WordNetCorpusReader, None))
    thesaurus._wordnet.cache_clear()
    yield folder
    thesaurus._wordnet.cache_clear()


@pytest.mark.filterwarnings("ignore:The multilingual functions")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Buy!", "Purchase!"),  # the sense of most use; "believe" is of another
        ("buys buying", "purchases purchasing"),
        ("bought", "bought"),  # irregular
        ("reply replied", "answer answered"),
    ],
)
def test_wordnet_gives_the_synonyms_of_one_sense(wordnet, text, expected):
    assert Synonym(source="wordnet").apply(text, strength=1, rng=Random(0)) == expected


def test_without_wordnet_the_fix_is_said(wordnet):
    for file in wordnet.iterdir():
        file.unlink()
    wordnet.rmdir()
    with pytest.raises(ReferenceNotFound, match=r"found none. Fix: python -m nltk.downloader wordnet"):
        Synonym(source="wordnet")


def test_without_the_tables_the_fix_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"source='embeddings' needs the package wordllama.*pip install 'sparring\[demo\]'"):
        Synonym()
