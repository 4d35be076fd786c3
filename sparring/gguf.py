"""A GGUF file as a folder that every engine loads: converted once, kept in the user's cache by the file's content."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
import time
from importlib.util import find_spec
from typing import Any

from .errors import MissingExtra
from .quiet import quiet
from .refs import content_hash

DAY = 24 * 3600.0


def converted(path: pathlib.Path) -> pathlib.Path:
    """The folder of `path` with float16 safetensors, a tokenizer and its chat template; made when it is not there.

    Written aside and renamed, so that a killed conversion leaves no half model, and of two at once one wins.
    """
    folder = cache_folder() / content_hash(path)
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(".*"):  # by a conversion that was killed
        if time.time() - left.stat().st_mtime > DAY:
            shutil.rmtree(left, ignore_errors=True)
    aside = pathlib.Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _convert(path, aside)
        try:
            aside.rename(folder)
        except OSError:
            if not folder.exists():  # somebody else was first
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def cache_folder() -> pathlib.Path:
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "sparring", "models")


def licence(path: pathlib.Path) -> str | None:
    """What the file itself says."""
    field = _reader(path).get_field("general.license")
    return str(field.contents()) if field else None


def _reader(path: pathlib.Path) -> Any:
    if find_spec("gguf") is None:
        raise MissingExtra("a GGUF model", "gguf", "demo")
    from gguf import GGUFReader

    return GGUFReader(path)


def _convert(path: pathlib.Path, folder: pathlib.Path) -> None:
    _reader(path)
    import torch
    import transformers

    # Older releases know no other way than to dequantize.
    options = {"quantization_config": transformers.GgufConfig(dequantize=True)} if hasattr(transformers, "GgufConfig") else {}
    with quiet():
        tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float16, **options
        )
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)
