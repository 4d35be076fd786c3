from random import Random

import pytest

from sparring import jobs
from sparring.operators.quoting import Quoting


def test_the_text_stands_in_a_frame():
    text = "Claim your prize, call 08452810075 now"
    found = {Quoting().apply(text, strength=1, rng=Random(seed)) for seed in range(50)}
    assert f"Fwd: {text}" in found
    assert f"my friend got this: {text}" in found
    assert all(text in result and result != text for result in found)


def test_every_line_is_quoted():
    assert Quoting().apply("win\nnow", strength=1, rng=Random(0), words=[2]) == "> win\n> now"


@pytest.mark.parametrize("text", ["", "12345", "www.a.com £5", "!!!"])
def test_nothing_to_quote(text):
    assert Quoting().apply(text, strength=1, rng=Random(0)) == text


def test_payload_stays_payload():
    quoting = Quoting()
    quoting.payload = (r"^win \w+", r"fwd")
    for seed in range(20):
        result = quoting.apply("win gold", strength=1, rng=Random(seed))
        assert result in ("win gold", "win gold\n-- forwarded")


def test_it_says_that_the_label_may_change_and_no_job_has_it_unasked():
    assert "the label only under a policy" in Quoting.preserves
    assert "quoting" not in jobs.AttackSettings().operators
