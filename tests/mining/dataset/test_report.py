"""The mining report: what it says first, that every part is there, and that no row's content gets out of its cover."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mining.dataset.advice import WORTH, advice, at, worth
from mining.dataset.cards import thumbnail
from mining.dataset.report import EACH, write_report
from mining.dataset.result import ACTIONS, Curve

from . import made

SECTIONS = "todo verdicts map worth queues hard other slices duplicates next notes".split()
VOID = {"meta", "link", "input", "img", "br"}


class Page(HTMLParser):
    """The page as a browser would see it: elements, the text inside and outside `.sample`, and that tags are balanced."""

    def __init__(self, html: str):
        super().__init__()
        self.html, self.elements, self.stack = html, [], []
        self.covered, self.open = [], []
        self.feed(re.sub(r"<style>.*?</style>", "", html, flags=re.S))
        assert not self.stack
        self.text = re.sub(r"\s+", " ", "".join(self.open))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append((tag, "sample" in (dict(attrs).get("class") or "").split()))

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack
        assert self.stack.pop()[0] == tag

    def handle_data(self, data):
        (self.covered if any(inside for _, inside in self.stack) else self.open).append(data)


def page(tmp_path, found, **content) -> Page:
    path = write_report(found, tmp_path / "out" / "report.html", **content)
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    return Page(path.read_text(encoding="utf-8"))


def sections(html: Page) -> list[str]:
    return [attrs["id"] for tag, attrs in html.elements if tag == "section"]


def said(found) -> list[str]:
    return [re.sub(r"<[^>]*>", "", str(line.text)) for line in advice(found)]


def test_every_part_is_there_and_the_page_loads_nothing(tmp_path):
    found = made.result()
    html = page(tmp_path, found, texts=made.texts(found))
    assert sections(html) == SECTIONS
    ids = [attrs["id"] for _, attrs in html.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["for"] for tag, attrs in html.elements if tag == "label"} <= set(ids)
    assert {attrs["href"][1:] for tag, attrs in html.elements if tag == "a"} <= set(SECTIONS)
    assert not {tag for tag, _ in html.elements} & {"script", "iframe", "object", "embed", "form", "base"}
    assert not re.search(r"url\(|@import|https?://", html.html)
    assert "default-src 'none'" in html.html
    assert len(html.html) < 250_000


def test_verdict_counts_and_actions_stand_on_the_page(tmp_path):
    found = made.result()
    text = page(tmp_path, found).text
    for name, n in found.verdicts.items():
        assert re.search(rf"{name} [^0-9]*?{n} [0-9.<]+%{ACTIONS[name]}", text), name


def test_what_to_do_comes_with_its_numbers():
    found = made.result()
    lines = said(found)
    count, doubt = found.verdicts, len(found.queue("ham"))
    first = worth(found)[0]
    assert first.queue == "ham"
    assert lines[0].startswith(f"Review the rows given ham first: among the {doubt} in doubt expect 14 to 20 wrong labels")
    flips = [r for r in found.table.to_pylist() if r["verdict"] == "mislabelled"]
    ham = sum(r["label"] == "ham" for r in flips)
    assert f"Relabel {count['mislabelled']} rows called mislabelled, most often from ham to spam ({ham})" in " ".join(lines)
    for start in (f"Drop {count['duplicate']} near duplicates", f"Escalate {count['ambiguous']} ambiguous", "Label 30 rows",
                  f"Annotate {count['novel']} rows", "In language de (gewinn", f"Keep {count['hard']} hard rows"):  # fmt: skip
        assert any(line.startswith(start) for line in lines), start
    assert any("recall 0.997" in line for line in lines)
    assert [line.level for line in advice(found)] == sorted(
        (line.level for line in advice(found)), key="act watch good".split().index
    )
    assert all(line.section in SECTIONS for line in advice(found))


def test_a_slice_that_is_not_significant_is_no_advice():
    assert not any("length below 20" in line for line in said(made.result()))


def test_the_queue_whose_least_favourable_noise_finds_most_comes_first_and_a_stop_is_told():
    flat = Curve("spam", "boundary", (10, 20, 100), (9.0, 18.0, 18.5), (8.0,) * 3, (10.0,) * 3)
    wide = Curve("ham", "symmetric", (10, 20, 100), (9.9, 19.0, 90.0), (8.0,) * 3, (10.0,) * 3)
    narrow = Curve("ham", "boundary", (10, 20, 100), (1.0, 2.0, 3.0), (0.0,) * 3, (4.0,) * 3)
    first, second = worth(made.result(worth=(wide, narrow, flat), of=[]))
    assert (first.queue, first.stop, second.queue, second.stop) == ("spam", 20, "ham", None)
    assert (second.least, second.most) == (3.0, 90.0)
    assert (18.5 - 18.0) / 80 < WORTH < (90 - 19) / 80


def test_the_value_between_points_of_a_curve():
    assert [at((10, 20), (5.0, 8.0), x) for x in (0, 5, 10, 15, 20, 99)] == [0.0, 2.5, 5.0, 6.5, 8.0, 8.0]
    assert at((0, 10), (0.9, 1.0), 0) == 0.9
    assert at((), (), 4) == 0.0


@pytest.mark.parametrize("n", [0, 1, 6])
def test_few_rows_or_none_still_make_a_page(tmp_path, n):
    bare = {} if n else {"slices": (), "worth": (), "f1": {}, "errors": {}}
    html = page(tmp_path, made.result(n, **bare))
    assert "What to do" in html.text
    assert sections(html)[-1] == "notes"
    assert ("No row could be used" in html.text) == (n == 0)
    nothing = page(tmp_path, made.result(n, slices=(), worth=(), f1={}, errors={}, notes=(), facts={}, rejected=()))
    assert "nan" not in nothing.text
    assert "None" not in nothing.text


def test_nulls_everywhere_are_no_error(tmp_path):
    rows = [dict.fromkeys(row) | {"id": row["id"], "row": row["row"], "verdict": row["verdict"]} for row in made.rows(40)]
    html = page(tmp_path, made.result(of=rows, errors={}), texts={})
    assert "map" not in sections(html)
    assert "queues" not in sections(html)
    assert "No label is in doubt" in html.text


def test_texts_stand_under_their_cover_and_nowhere_else(tmp_path):
    found = made.result()
    texts = {id: f"hush{i}q" for i, id in enumerate(found.table["id"].to_pylist())}
    html = page(tmp_path, found, texts=texts)
    covered = "".join(html.covered)
    assert "hush" in covered
    assert "hush" not in html.text
    assert not any("hush" in str(value) for _, attrs in html.elements for value in attrs.values())
    boxes = [attrs for tag, attrs in html.elements if tag == "input" and attrs["class"] != "layer"]
    assert boxes
    assert all("checked" not in box and box["autocomplete"] == "off" for box in boxes)
    top = found.queue("ham")[0]
    near = next(r["neighbours"] for r in found.table.to_pylist() if r["id"] == top)
    assert texts[top] in covered
    assert all(texts[n["id"]] in covered for n in near[:3])
    assert all(f"{n['cosine']:.2f}" in html.text for n in near)


def test_without_content_the_cards_say_so(tmp_path):
    html = page(tmp_path, made.result())
    assert "its content was not given" in "".join(html.covered)
    assert "Content warning" not in html.text


def test_images_are_small_inline_and_blurred(tmp_path):
    found = made.result()
    html = page(tmp_path, found, images=made.images(found))
    pictures = [attrs for tag, attrs in html.elements if tag == "img"]
    assert pictures
    assert all(attrs["src"].startswith(("data:image/png;base64,", "data:image/jpeg;base64,")) for attrs in pictures)
    assert max(int(attrs["width"]) for attrs in pictures) == 104
    for attrs in pictures:
        kind, _, data = attrs["src"].partition(";base64,")
        image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
        image.load()
        assert f"data:image/{image.format.lower()}" == kind
        assert max(image.size) <= 104
    assert re.search(r"\.pictures \.sample img \{ filter: blur", html.html)
    assert len(html.html) < 1_500_000


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a\x01", b"\xff\xd8\xff\xe0junk", b"<svg onload=alert(1)>"])
def test_a_broken_image_is_said(data):
    assert thumbnail(data, 64) == thumbnail(b"", 64)
    assert thumbnail(b"", 64).why == "an image that cannot be read"


def test_a_large_queue_is_cut_and_says_so(tmp_path):
    html = page(tmp_path, made.result(3000))
    assert re.search(r"Given ham first 9 of \d{3}", html.text)
    assert html.text.count("hard: upweight") >= EACH


def test_many_labels(tmp_path):
    rows = made.rows(400)
    for i, row in enumerate(rows):
        row["label"] = f"label {i % 40}"
        row["queue"] = row["label"] if row["label_flagged"] else None
        row["queue_rank"] = 1 if row["label_flagged"] else None
    found = made.result(of=rows, labels=tuple(f"label {i}" for i in range(40)), worth=(), errors={})
    html = page(tmp_path, found, texts=made.texts(found))
    assert re.search(r"20 of \d\d queues", html.text)
    assert len(html.html) < 400_000


HOSTILE = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=st.characters(codec=None), max_size=30),
    st.sampled_from(["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "</style></div></section><b>",
                     "{{ 7*7 }}", "a\x00b\x1b[31m", "\ud800", "\u202egnp.exe", "A9z" * 100_000, "&lt;b&gt;", "<!--", "]]>"]),
)  # fmt: skip
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=HOSTILE)
def test_a_hostile_text_stays_text_and_covered(tmp_path, text):
    found = made.result(40)
    plain = page(tmp_path, found, texts=dict.fromkeys(found.table["id"].to_pylist(), "plain"))
    html = page(tmp_path, found, texts=dict.fromkeys(found.table["id"].to_pylist(), text))
    assert [tag for tag, _ in html.elements if tag != "s"] == [tag for tag, _ in plain.elements if tag != "s"]
    assert {name for _, attrs in html.elements for name in attrs} <= {name for _, attrs in plain.elements for name in attrs}
    assert not UNSEEN.search(html.html)
    counts = re.compile(r" · \d+ × U\+[0-9A-F]+")  # which hidden characters, never the text
    assert counts.sub("", html.text) == plain.text
    assert len(html.html) < 250_000


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=HOSTILE.filter(lambda s: not re.search("[\ud800-\udfff]", s)))
def test_hostile_names_stay_text(tmp_path, name):
    rows = made.rows(30)
    for row in rows:
        row.update(label=name, queue=name if row["queue"] else None, reasons=[name], why_removed=row["why_removed"] and name)
        row["id"] = f"{row['id']} {name}"
        row["neighbours"] = [n | {"label": name} for n in row["neighbours"]]
    other = {"source": name, "labels": (name,), "notes": (name,), "facts": {name: name}, "rejected": ((1, name),), "errors": {}}
    worth_of = (made.curve(name, name, 0.5, 20),)
    f1 = {name: ((0, 10), (0.5, 0.6))}
    slices = (type(made.result(0).slices[0])(name, 9, 0.4, 0.2, 0.6, 0.1, 0.01, (name,)),)
    html = page(tmp_path, made.result(of=rows, worth=worth_of, f1=f1, slices=slices, **other))
    known = {tag for tag, _ in page(tmp_path, made.result()).elements}
    assert {tag for tag, _ in html.elements} <= known
    assert not any(key.startswith("on") for _, attrs in html.elements for key in attrs)
    assert not UNSEEN.search(html.html)
