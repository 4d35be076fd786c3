from __future__ import annotations

import pytest

from sparring import jsonpath

ANSWER = {
    "results": [{"scores": {"a.b": 0.1, "hate/threat": 0.2}}, {"scores": {"a.b": 0.3, "hate/threat": 0.4}}],
    "attributes": {"TOXICITY": {"summary": {"value": 0.5}}},
    "analysis": [{"category": "Hate", "severity": 2}, {"category": "Violence", "severity": 4}],
}
NESTED = [
    [{"label": "spam", "score": 0.9}, {"label": "ham", "score": 0.1}],
    [{"label": "ham", "score": 0.7}, {"label": "spam", "score": 0.3}],
]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ('results[*].scores["a.b"]', [0.1, 0.3]),
        ("$.results[*].scores.hate/threat", [0.2, 0.4]),
        ("results[-1].scores.hate/threat", 0.4),
        ("results[0].scores", {"a.b": 0.1, "hate/threat": 0.2}),
        ("attributes.TOXICITY.summary.value", 0.5),
        ("analysis[category=Violence].severity", 4),
        ('analysis[category="Hate"].severity', 2),
    ],
)
def test_paths_into_answers_of_known_services(path, found):
    assert jsonpath.parse(path).find(ANSWER) == found
    assert jsonpath.parse(path).many == ("[*]" in path)


def test_a_condition_is_tried_in_each_of_many():
    assert jsonpath.parse("[*][label=spam].score").find(NESTED) == [0.9, 0.3]


@pytest.mark.parametrize("path", ["a[", "a[1:2]", "a..b", "a[*].b[*]", "[?(@.x)]", "a[b"])
def test_what_is_not_in_the_subset_is_refused(path):
    with pytest.raises(ValueError, match=r"in the path|at most once"):
        jsonpath.parse(path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("result", "found no 'result' in an object with the keys results, attributes, analysis"),
        ("results[2]", "found no 2 in an array of 2"),
        ("attributes[*].x", r"expected an array for \[\*\], found an object with the keys TOXICITY"),
        ("analysis[category=Sexual]", r"found no \[category=Sexual\] in an array of 2"),
        ("analysis[0].category.x", "found no 'x' in str"),
    ],
)
def test_what_is_not_there_is_said_by_keys_never_by_values(path, said):
    with pytest.raises(jsonpath.NotThere, match=said) as raised:
        jsonpath.parse(path).find(ANSWER)
    assert "Hate" not in str(raised.value)
