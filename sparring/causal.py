"""A causal language model that this process loads: what its writers, its verdicts and its perplexities share."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence, Sized
from functools import cached_property
from typing import Any, ClassVar

from . import gguf, orphans, refs
from .embed import native_bfloat16
from .errors import MissingExtra
from .quiet import quiet

_LOADED = frozenset({"_model", "_engine", "_tokenizer", "_control", "_device", "_folder", "_settings"})


class LocalModel:
    """Mixin of a model by reference: an `hf://` id, a folder, or a GGUF file, which is converted once."""

    model: str
    revision: str | None

    def __getstate__(self) -> dict[str, Any]:
        """For a worker on another machine: settings and what stands in keys, without what it must load for itself."""
        state = {name: value for name, value in self.__dict__.items() if name not in _LOADED}
        return state | {"_place": os.path.abspath(self._place) if os.path.exists(self._place) else self._place}

    @cached_property
    def _place(self) -> str:
        return refs.resolve(self.model)

    @cached_property
    def _folder(self) -> str:
        """What the engine loads: a folder, or the id of a model on the hub."""
        path = pathlib.Path(self._place)
        return str(gguf.converted(path)) if path.suffix == ".gguf" else self._place

    @cached_property
    def _content(self) -> str | None:
        """The revision of a model on this disk: the hash of its files."""
        path = pathlib.Path(self._place)
        return gguf.content_hash(path) if path.exists() else None

    @cached_property
    def _stated_licence(self) -> str | None:
        """What a GGUF file says of itself."""
        path = pathlib.Path(self._place)
        return gguf.licence(path) if path.suffix == ".gguf" else None

    @property
    def _public_name(self) -> str:
        """Where it lies on this disk is nobody's business; the revision says what it is."""
        return self.model if "://" in self.model else pathlib.Path(self._place).name

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self._folder, revision=self.revision, padding_side="left")
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer

    @cached_property
    def _control(self) -> re.Pattern[str]:
        """The tokens by which a chat template says who speaks: a text that spells one must not become one."""
        tokens = self._tokenizer.added_tokens_decoder.values()
        special = {str(t) for t in tokens if t.special and len(str(t)) > 1} | set(self._tokenizer.all_special_tokens)
        return re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True))) or r"(?!)")

    def _chat(self, system: str, user: str, **options: Any) -> str:
        """The prompt up to where the assistant begins; without a system prompt where `system` is empty."""
        from jinja2 import TemplateError

        system, user = (self._control.sub(lambda m: f"{m[0][0]} {m[0][1:]}", text) for text in (system, user))
        together = "\n\n".join(text for text in (system, user) if text)
        if not self._tokenizer.chat_template and "chat_template" not in options:
            return f"{together}\n\n"
        options = {"tokenize": False, "add_generation_prompt": True} | options
        alone = [{"role": "user", "content": together}]
        if not system:
            return self._tokenizer.apply_chat_template(alone, **options)
        roles = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        try:
            return self._tokenizer.apply_chat_template(roles, **options)
        except TemplateError:  # some models take no system prompt
            return self._tokenizer.apply_chat_template(alone, **options)


class CausalLM(LocalModel):
    """Mixin of a causal model of the `transformers` library. On a CPU it computes in float32 unless told otherwise."""

    device: str
    dtype: str
    threads: int | None  # of torch, while it works; None leaves them as they are

    @cached_property
    def _model(self) -> Any:
        from transformers import AutoModelForCausalLM

        # One query against a short past, in bfloat16 on a CPU: the plain product is twice as fast as the fused one.
        attention = {"attn_implementation": "eager"} if (self._device, self._dtype) == ("cpu", "bfloat16") else {}
        with quiet():
            model: Any = AutoModelForCausalLM.from_pretrained(
                self._folder, revision=self.revision, dtype=self._dtype, **attention
            )
        return model.to(self._device).eval()

    @cached_property
    def _device(self) -> str:
        import torch

        if self.device != "auto":
            return self.device
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"

    @cached_property
    def _dtype(self) -> str:
        return "float32" if (self._device, self.dtype) == ("cpu", "auto") else self.dtype

    @contextlib.contextmanager
    def _limited_threads(self) -> Iterator[None]:
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(self.threads or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _padded(self, ids: Sequence[Sequence[int]]) -> Any:
        """(n, longest) token numbers. Padding stands on the right, where no token of a causal model sees it: so it needs
        no mask, and positions count by themselves."""
        import torch

        longest, pad = max(map(len, ids)), self._tokenizer.pad_token_id or 0
        return torch.tensor([[*row, *[pad] * (longest - len(row))] for row in ids], device=self._device)


class VllmModel(LocalModel):
    """Mixin of a dataclass with these settings: a model that vLLM runs inside this process."""

    feature: ClassVar[str]  # for the error where vLLM is missing
    options: ClassVar[Mapping[str, Any]] = {}  # more for the engine

    batch_size: int  # sequences that the engine runs at once
    dtype: str
    gpus: int
    memory: float  # share of a GPU's memory
    context: int | None  # tokens of prompt and answer; None is the model's own

    def check_installed(self) -> None:
        """Raises `MissingExtra`."""
        try:
            import vllm  # noqa: F401
        except ImportError:
            raise MissingExtra(self.feature, "vllm", "vllm") from None

    @property
    def engine_settings(self) -> dict[str, Any]:
        """What the engine is made with, wherever it stands."""
        return {
            "model": self._folder, "revision": self.revision, "dtype": self.dtype, "seed": 0, "tensor_parallel_size": self.gpus,
            "gpu_memory_utilization": self.memory, "max_model_len": self.context, "max_num_seqs": self.batch_size,
            **self.options,
        }  # fmt: skip

    @property
    def _dtype(self) -> str:
        """The engine's own choice, but on a CPU, where it would compute float16 weights in float16 at a fifth of the speed."""
        from vllm.platforms import current_platform

        if self.dtype != "auto" or not current_platform.is_cpu():
            return self.dtype
        return "bfloat16" if native_bfloat16() else "float32"

    @cached_property
    def _engine(self) -> Any:
        from vllm import LLM

        others = {child.pid for child in multiprocessing.active_children()}
        engine = LLM(**self.engine_settings | {"dtype": self._dtype})
        # It computes in a process of its own, which would outlive this one's SIGKILL and keep its memory.
        orphans.end_with_this_process({child.pid for child in multiprocessing.active_children() if child.pid} - others)
        return engine


def by_length(rows: Sequence[Sized], size: int) -> Iterator[list[int]]:
    """Row numbers in batches of like length."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for start in range(0, len(order), size):
        yield order[start : start + size]
