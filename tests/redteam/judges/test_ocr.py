from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from redteam.judges.ocr import Ocr
from sparring import registry, vision

TEXT = "Claim your prize today"


def page(text: str, *, ink: int = 0) -> bytes:
    image = Image.new("L", (440, 80), 255)
    ImageDraw.Draw(image).text((20, 20), text, fill=ink, font=ImageFont.load_default(34))
    return vision.png(np.asarray(image))


def test_an_image_keeps_its_label_while_its_words_can_be_read():
    judge = registry.make("image_criterion", "ocr", recall=0.7)
    assert isinstance(judge, Ocr)
    samples = [page("Cl4im your pr1ze today"), page("Claim your dog"), page(TEXT, ink=254)]
    found = judge.assess([TEXT] * 3, samples, ["spam"] * 3)
    assert [(v.valid, v.reason) for v in found] == [(True, ""), (False, "text"), (False, "text")]
    assert [v.score for v in found] == [1.0, 0.5, 0.0]
    assert all(v.reason in ("", *judge.names) for v in found)


def test_a_seed_may_be_the_image_it_was_made_from_and_without_one_there_is_no_objection():
    judge = Ocr()
    assert judge.assess([page(TEXT)], [page(TEXT, ink=120)], ["spam"])[0].valid
    assert not judge.assess([page(TEXT)], [page("Something else here")], ["spam"])[0].valid
    assert judge.assess([""], [page("Hello")], ["spam"])[0].valid
    assert registry.make("image_judge", "all", criteria=[judge]).assess([TEXT], [page("Hello")], ["spam"])[0].reason == "text"
