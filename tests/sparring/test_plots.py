from sparring.plots import Rate, percent, pieces, readable, scale


def test_percent_keeps_what_a_whole_number_would_hide():
    values = (0, 0.0002, 0.031, 0.0996, 0.1, 0.583, 0.9, 0.953, 0.9999, 1)
    assert " ".join(map(percent, values)) == "0% <0.1% 3.1% 10% 10% 58% 90% 95.3% >99.9% 100%"


def test_rate_reads_what_the_summary_may_hold():
    assert [Rate.read(raw) for raw in (None, [None, None, None, 0], [float("nan"), 0, 0, 0])] == [None] * 3
    assert [str(Rate.read(raw)) for raw in (0.5, [0.5, 0.4, 0.6, 10])] == ["50%", "50% [40–60%]"]
    assert not Rate(0.5, 0.4, 0.6).overlaps(Rate(0.8, 0.7, 0.9))
    assert Rate(0.5, 0.4, 0.6).overlaps(Rate(0.6, 0.55, 0.9))
    assert not Rate(0.5).overlaps(Rate(0.6))
    assert [scale([Rate(0.03, 0.01, 0.06), None]), scale([])] == [0.1, 1.0]


def test_pieces_show_the_letters_that_changed():
    def shown(seed: str, text: str) -> list[tuple[str, str]]:
        return [(p.kind, p.text) for p in pieces(seed, text)]

    assert shown("win a prize", "w1n a prize now") == [("same", "w"), ("new", "1"), ("same", "n a prize"), ("new", " now")]
    assert shown("win", "w\u200bin\x00") == [("same", "w"), ("hidden", ""), ("same", "in"), ("hidden", "")]
    assert "".join(p.text for p in pieces("a" * 5000, "a" * 5000)) == "a" * 400
    assert pieces("", "") == []


def test_readable_spells_out_what_cannot_be_seen():
    assert readable("a\u202eb\x00\nc") == "a[U+202E]b[U+0000] c"
    assert len(readable("x" * 10_000)) == 401
