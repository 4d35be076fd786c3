import re

from hypothesis import given
from hypothesis import strategies as st

from mining.dataset.marks import GLYPHS, Line, curves, sampled, scatter


@given(st.lists(st.sampled_from(list(GLYPHS)), max_size=300), st.integers(1, 60))
def test_a_sample_keeps_the_rare_and_its_size(verdicts, most):
    rows = sampled(verdicts, most)
    assert rows == sorted(set(rows))
    assert len(rows) == min(most, len(verdicts))
    kinds = len(set(verdicts))
    for verdict in set(verdicts):
        drawn = sum(verdicts[i] == verdict for i in rows)
        assert drawn == verdicts.count(verdict) or drawn >= most // kinds


def test_a_map_draws_at_most_so_many_points_and_every_rare_one():
    verdicts = ["ok"] * 20_000 + ["mislabelled"] * 30
    x = [float(i % 97) for i in range(len(verdicts))]
    svg, drawn = scatter(x, x[::-1], verdicts, most=4000)
    assert drawn == {"ok": 3970, "mislabelled": 30}
    assert str(svg).count("h0") == 3970
    assert len(svg) < 60_000


def test_points_without_a_place_are_left_out_and_one_far_row_does_not_press_the_others_together():
    nan = float("nan")
    assert scatter([None, nan], [1.0, 2.0], ["ok", "ok"]) == ("", {})
    x = [float(i) for i in range(400)] + [1e9, None]
    svg, drawn = scatter(x, x, ["ok"] * 402)
    assert drawn == {"ok": 401}
    places = [int(a) for a in re.findall(r"M(-?\d+) ", str(svg))]
    assert max(places) - min(places) > 600
    assert sorted(places)[200] in range(330, 390)
    assert scatter([1.0], [1.0], ["novel"])[1] == {"novel": 1}


def test_curves_stand_within_their_frame():
    line = Line("symmetric", (10, 20, 40), (5.0, 9.0, 12.0), (4.0, 7.0, 9.0), (6.0, 12.0, 15.0))
    svg = str(curves("c", "Found", [None, line], diagonal=True))
    assert "symmetric: 12 after 40" in svg
    assert 'class="c-blue"' in svg  # the second place keeps its style when the first has no line
    assert 'class="c-attack"' not in svg
    numbers = [float(n) for points in re.findall(r'points="([^"]*)"', svg) for n in re.split("[ ,]", points)]
    assert all(0 <= n <= 1000 for n in numbers)
    assert curves("c", "Found", [])
