"""What every report is made of: one HTML file that opens anywhere, loads nothing and runs no script."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from . import disk, plots
from .plots import Rate, count, readable

if TYPE_CHECKING:
    import jinja2


@functools.cache
def environment(package: str = "sparring") -> jinja2.Environment:
    """Templates of `package`'s folder `templates`, then Sparring's own: a page extends `page.html.j2`.

    It takes `verdict` and `advice` (see `advice.py`), `contents` (section id -> title) and what its blocks need.
    """
    import jinja2

    loaders = [jinja2.PackageLoader(name) for name in dict.fromkeys((package, "sparring"))]
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders), autoescape=True, undefined=jinja2.ChainableUndefined, finalize=printed,
        trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    made.filters.update(rate=Rate.read, count=count, duration=plots.duration)
    made.globals.update(plots=plots)
    return made


def put(html: str, path: Path) -> Path:
    """Writes a page at `path`, whole or not at all; what no encoding holds (lone surrogates) is spelled out."""
    disk.put_file(path, html.encode("utf-8", "backslashreplace"))
    return path


def printed(value: Any) -> Any:
    """What `{{ }}` prints: a dash for what was not measured, else one safe line."""
    import jinja2

    if isinstance(value, Markup | jinja2.Undefined):
        return value
    if value is None or value != value:
        return "–"
    return readable(f"{value:.4g}" if isinstance(value, float) else value)
