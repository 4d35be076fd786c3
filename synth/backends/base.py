"""What every language model here promises: settings by keyword, shown by `repr`; a text depends on its prompt alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sparring import refs
from sparring.causal import LocalModel
from sparring.errors import JobError
from sparring.generation import Asked, Told, asked
from sparring.protocols import Completion


@dataclass(kw_only=True)
class Backend(ABC):
    """A model and how it is sampled. Authors write `answer`; one whose `answer` takes a JSON schema too has `guided`, one that
    is an engine of its own names its `package`, since another version may write otherwise.

    The seed of a text is made of `seed` and its prompt, so that its neighbours in a call do not matter, and asking once
    more with the seed in a record gives that record's text again (as far as the engine computes alike in every batch).
    """

    name: ClassVar[str]

    model: str
    revision: str | None = None
    licence: str | None = None
    max_new_tokens: int = 80
    temperature: float = 0.9
    top_p: float = 0.95

    def __post_init__(self) -> None:
        for setting in ("max_new_tokens", "batch_size", "concurrency", "gpus"):
            if getattr(self, setting, 1) < 1:
                raise JobError(f"{self.name}: expected {setting} of at least 1, got {getattr(self, setting)}")
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise JobError(
                f"{self.name}: expected temperature >= 0 and 0 < top_p <= 1, got {self.temperature} and {self.top_p}"
            )

    def complete(
        self, prompts: Sequence[tuple[str, str]], *, seed: int, schema: Mapping[str, Any] | None = None
    ) -> list[Completion]:
        """One answer for each prompt, in order; with `schema` each is JSON of that form, as far as the model is `guided`."""
        found: dict[int, Completion] = {}
        if prompts:
            self.stream(asked(prompts, [seed] * len(prompts)), found.__setitem__, schema=schema)
        return [found[i] for i in range(len(prompts))]

    def stream(self, asked: Iterator[Asked], told: Told, *, schema: Mapping[str, Any] | None = None) -> None:
        """Answers what `asked` gives, taking the next only when there is room for it; tells each answer when it is there."""
        held: dict[str, Any] = {"schema": schema} if schema and getattr(self, "guided", False) else {}
        self.answer(asked, told, **held)

    @abstractmethod
    def answer(self, asked: Iterator[Asked], told: Told) -> None:
        """Tells the answer to each prompt, sampled with the prompt's own seed, in any order."""

    def describe(self) -> dict[str, Any]:
        """name, model, revision, licence, and `parameters`: the settings that change what is written."""
        return {
            "name": self.name, "model": self.model, "revision": self.revision, "licence": self.licence,
            "parameters": {"max_new_tokens": self.max_new_tokens, "temperature": self.temperature, "top_p": self.top_p},
        }  # fmt: skip


@dataclass(kw_only=True)
class LocalBackend(LocalModel, Backend):
    """A model that this process loads: an `hf://` id, a folder, or a GGUF file, which is converted once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refs.resolve(self.model)  # a model that cannot be had is said at once

    def describe(self) -> dict[str, Any]:
        licence = self.licence or self._stated_licence
        own = {"model": self._public_name, "revision": self.revision or self._content, "licence": licence}
        return super().describe() | own
