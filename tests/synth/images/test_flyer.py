from __future__ import annotations

import builtins
import io
import json
from random import Random

import numpy as np
import pytest
from PIL import Image

from sparring import ocr, registry, vision
from sparring.errors import JobError, MissingExtra, ProhibitedContent
from sparring.protocols import Brief
from sparring.text import canonical, payload
from synth.images import fonts, texts, warps


def made(label: str = "spam", seed: int = 0, prompt: str = "", start: bytes | None = None, **settings):
    drawn = registry.make("image_model", "flyer", **settings).draw([Brief(label, seed, prompt, start)])[0]
    said = json.loads(drawn.parameters)
    return drawn, said.get("page", said)


def test_the_same_brief_gives_the_same_file_whatever_stands_beside_it():
    model = registry.make("image_model", "flyer")
    briefs = [Brief("spam", i) for i in range(4)]
    together = model.draw(briefs)
    assert [model.draw([b])[0] for b in briefs] == together
    assert len({d.image for d in together}) == 4
    assert all(vision.decoded(d.image).shape == (480, 480, 3) for d in together)
    assert Image.open(io.BytesIO(together[0].image)).info == {}  # no note that a detector could go by


def test_parameters_hold_all_that_makes_it_again():
    given = {"size": 320, "fonts": ["Lora"], "tricks": ["leet"], "contrast": [0.6, 0.7], "warp": 0.01, "qr": 0.0}
    drawn, page = made(seed=7, **given)
    said = json.loads(drawn.parameters)
    assert {key: said[key] for key in given} == given
    assert (said["label"], said["seed"]) == ("spam", 7)
    assert 0.6 <= page["contrast"] <= 0.7
    assert set(page["fonts"]) == {"Lora"}


@pytest.mark.parametrize("trick", ["none", "leet", "dotted", "spacing"])
def test_the_text_is_kept_its_payload_as_it_was_and_its_spelling_undone_by_canonical_form(trick):
    for seed in range(20):
        _, said = made(seed=seed, tricks=[trick], label="benign" if seed % 2 else "spam")
        assert canonical(said["shown"], "deobfuscate") == canonical(said["text"], "deobfuscate")
        assert payload(said["shown"]) == payload(said["text"])
        assert (said["shown"] == said["text"]) is (trick == "none") or trick != "none"
        written = " ".join(line["text"] for line in said["lines"]).replace("\u00a0", " ")
        if not said["left_out"]:
            assert written.replace(" ", "") == said["shown"].replace(" ", "")
    assert trick == "none" or said["shown"] != said["text"]


def test_spam_and_notices_look_alike_both_with_numbers_and_links():
    for label in ("spam", "benign"):
        found = [made(label, seed)[1] for seed in range(40)]
        assert len({said["text"] for said in found}) > 20
        assert 0.3 < np.mean([bool(said["qr"]) for said in found]) < 0.9
        assert {said["warp"] for said in found} == {"none", "perspective", "wave"}
    assert texts.made(True, Random(1)) != texts.made(False, Random(1))


def test_every_line_stands_in_its_box():
    """Outside the boxes, and away from them, there is paper alone; in each box there is ink."""
    for seed in range(12):
        drawn, said = made(seed=seed, qr=0.0, contrast=[1, 1], tricks=["none"])
        pixels = vision.decoded(drawn.image).astype(float)
        paper, ink = (np.array(said[key], float) for key in ("paper", "ink"))
        like_ink = np.linalg.norm(pixels - ink, axis=2) < 0.4 * np.linalg.norm(paper - ink)
        assert like_ink.any()
        inside = np.zeros(like_ink.shape, bool)
        for line in said["lines"]:
            box = np.array(line["box"])
            (left, top), (right, bottom) = np.floor(box.min(0)).astype(int) - 3, np.ceil(box.max(0)).astype(int) + 4
            assert like_ink[max(0, top) : bottom, max(0, left) : right].mean() > 0.02
            inside[max(0, top) : bottom, max(0, left) : right] = True
        assert not (like_ink & ~inside).any()


def test_a_code_says_the_link_or_number_and_can_be_scanned():
    import cv2

    read = []
    for seed in range(12):
        drawn, said = made(seed=seed, qr=1.0, warp=0.0)
        if said["qr"]:
            links = payload(said["text"])
            assert said["qr"]["content"].removeprefix("tel:") in {link.rstrip(".") for link in links}
            read.append(cv2.QRCodeDetector().detectAndDecode(vision.decoded(drawn.image))[0] == said["qr"]["content"])
    assert len(read) > 5
    assert np.mean(read) > 0.8


def test_a_prompt_is_what_stands_there_and_a_long_one_says_what_was_left_out():
    _, said = made(prompt="Cake sale\n  on Friday", tricks=["none"])
    assert said["text"] == "Cake sale on Friday"
    drawn, said = made(prompt="word " * 900, tricks=["none"])
    assert drawn.image
    assert said["left_out"] > 300
    _, said = made(prompt="x" * 400, tricks=["none"])
    assert "".join(line["text"] for line in said["lines"]) == "x" * 400 or said["left_out"]


def test_a_start_stands_faintly_behind_the_text():
    left = np.zeros((50, 50, 3), np.uint8)
    left[:, :25] = 255
    plain, behind = (vision.decoded(made(seed=3, warp=0.0, start=s)[0].image) for s in (None, vision.png(left)))
    change = behind.astype(int) - plain
    assert np.median(change[:, 10:230]) > np.median(change[:, 250:470]) + 15


def test_letters_that_no_font_has_are_an_outcome_not_a_page_of_boxes():
    drawn, said = made(prompt="무료 상품")
    assert drawn.image is None
    assert drawn.reason == "no_font"
    assert said["prompt"] == "무료 상품"
    assert fonts.covers("default", "Prize $1")
    assert not fonts.covers("default", "한")
    drawn, said = made(prompt="Приз для вас", fonts=["Bebas Neue", "Roboto"], tricks=["none"])
    assert drawn.image
    assert set(said["fonts"]) == {"Roboto"}


def test_what_custody_refuses_is_not_set(monkeypatch):
    from synth.images import flyer

    def refuse(text: str) -> None:
        raise ProhibitedContent(text)

    monkeypatch.setattr(flyer, "check_text", refuse)
    with pytest.raises(ProhibitedContent, match="as it is"):
        made(prompt="as it is")


def test_wrong_settings_and_missing_packages_are_said(monkeypatch):
    with pytest.raises(JobError, match=r"tricks out of none, leet, dotted, spacing; got 480, .*mirror"):
        made(tricks=["mirror"])
    with pytest.raises(JobError, match="expected contrast as"):
        made(contrast=[0.9, 0.1])
    with pytest.raises(JobError, match="pip install fontpkg-comic-neue"):
        made(fonts=["Comic Neue"])
    real = builtins.__import__

    def without(name, *rest):
        if name == "segno":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"QR codes needs the package segno.*pip install 'sparring\[images\]'"):
        made(qr=1.0, prompt="Call 08452810075 now")


@pytest.mark.parametrize("warp", warps.WARPS)
def test_points_go_where_their_pixels_go(warp):
    spots = np.array([[60.0, 50.0], [150.0, 40.0], [100.0, 160.0]])
    for seed in range(5):
        page = np.zeros((200, 220, 3), np.uint8)
        for i, (x, y) in enumerate(spots.astype(int)):
            page[y - 4 : y + 5, x - 4 : x + 5, i] = 255
        bent, goes = warps.WARPS[warp](Image.fromarray(page), 0.06, Random(seed), (0, 0, 0))
        for i, wanted in enumerate(goes(spots)):
            ys, xs = np.nonzero(np.asarray(bent)[:, :, i] > 128)
            assert abs(xs.mean() - wanted[0]) < 1.5
            assert abs(ys.mean() - wanted[1]) < 1.5


def test_ocr_reads_what_was_set():
    """A sample of what the benchmark measures on more flyers."""
    for trick in ("leet", "dotted"):
        found = [made(seed=900 + i, tricks=[trick]) for i in range(4)]
        recalls = [ocr.recall(said["text"], ocr.read(drawn.image)) for drawn, said in found]
        assert np.mean(recalls) > 0.9
        others = [ocr.recall(found[i - 1][1]["text"], ocr.read(found[i][0].image)) for i in range(4)]
        assert np.mean(others) < 0.3
