from random import Random

from sparring.operators.zero_width import ZeroWidth


def test_invisible_characters_between_letters():
    assert ZeroWidth().apply("free 2 go!", strength=1, rng=Random(0)) == "f\u2060re\u2060e 2 g\u2060o!"


def test_any_script():
    result = ZeroWidth().apply("бесплатно", strength=1, rng=Random(0))
    assert len(result) > len("бесплатно")
