import importlib.util
import pathlib

import pytest

from sparring import registry

SCRIPT = pathlib.Path(__file__).parents[2] / "docs" / "make_attacks.py"


@pytest.fixture(scope="module")
def made():
    spec = importlib.util.spec_from_file_location("make_attacks", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(made):
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "Fix: python docs/make_attacks.py"


def test_the_page_holds_every_part_once(made):
    page = made.page()
    assert all(page.count(f"\n### `{name}`\n") == 1 for name in registry.names("operator"))
    assert all(page.count(f"\n- `{name}`: ") == 1 for name in registry.names("attack"))


def test_what_stands_outside_the_markers_is_kept(made, tmp_path, monkeypatch):
    copy = tmp_path / "attacks.md"
    copy.write_text(f"before\n{made.BEGIN}old\n{made.END}behind\n", encoding="utf-8")
    monkeypatch.setattr(made, "PAGE", copy)
    page = made.page()
    assert page.startswith(f"before\n{made.BEGIN}")
    assert page.endswith(f"{made.END}behind\n")
    assert "old\n" not in page
