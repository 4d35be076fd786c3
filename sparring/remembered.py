"""A model that is asked for nothing twice: what it wrote or drew stands in the ledger, for every run and round."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import engines, generation, refs
from .custody import is_prohibited
from .generation import Asked
from .ledger import Ledger, hash_of
from .meter import Meter
from .protocols import OUT_OF_MEMORY, Brief, Completion, Drawn, ImageModel, TextModel
from .record import digest
from .store import source_of


class Remembered:
    """`model` with a ledger before it; itself a `TextModel`.

    An answer's key covers the rendered prompt, the system prompt, the model and its revision, the engine with its version and
    where it runs, the sampling settings, the seed, the schema, a hash of other input, and the source of the part. What custody
    refuses is held in memory alone. `meter` hears what this run, named by `by`, asked for itself, and says whether another
    prompt may be begun.
    """

    def __init__(self, model: TextModel, ledger: Ledger, *, by: str = "", meter: Meter | None = None):
        self.inner, self.ledger, self.by, self.meter = model, ledger, by, meter
        what = what_writes(model)
        self._shared, self._name = digest(what).encode(), str(what.get("model") or what["name"])
        self._unsaid: dict[str, Completion] = {}
        self._promised: set[str] = set()  # answers that are there and in no shard yet
        self._charged: set[str] = set()

    def __repr__(self) -> str:
        return repr(self.inner)

    @property
    def guided(self) -> bool:
        return bool(getattr(self.inner, "guided", False))

    def describe(self) -> dict[str, Any]:
        return self.inner.describe()

    def complete(
        self, prompts: Sequence[tuple[str, str]], *, seed: int, schema: Mapping[str, Any] | None = None
    ) -> list[Completion]:
        """As the model's own, with what the ledger holds not asked again, whatever was spent."""
        found: dict[int, Completion] = {}
        self._ask(prompts, [seed] * len(prompts), found.__setitem__, schema, ahead=False)
        return [found[i] for i in range(len(prompts))]

    def ahead(self, prompts: Sequence[tuple[str, str]], seeds: Sequence[int], *, told: generation.Told) -> None:
        """Has these written, so that `complete` finds them: one refilled window over all of them, and no more in flight than
        the model takes. Ends early, with what is in flight finished, when the meter says so."""
        self._ask(prompts, seeds, told, None, ahead=True)
        self.ledger.commit()

    def _ask(
        self, prompts: Sequence[tuple[str, str]], seeds: Sequence[int], told: generation.Told,
        schema: Mapping[str, Any] | None, *, ahead: bool,
    ) -> None:  # fmt: skip
        keys: dict[int, str] = {}  # of those in flight
        flying: dict[str, list[int]] = {}  # key -> the prompts that it answers: some are there twice
        held: dict[str, Any] = {"schema": schema} if schema and self.guided else {}
        form = digest(held)

        def missing() -> Iterator[Asked]:
            for one in generation.asked(prompts, seeds):
                key = self._key(one, form)
                if (found := self._found(key)) is not None:
                    answer, by = found
                    self._count(key, answer, ours=by == self.by, ahead=ahead)
                    told(one.number, answer)
                elif key in flying:
                    flying[key].append(one.number)
                elif ahead and self.meter and self.meter.stop():
                    return
                else:
                    keys[one.number], flying[key] = key, [one.number]
                    yield one

        def came(number: int, answer: Completion) -> None:
            key = keys.pop(number)
            if is_prohibited(answer.text):
                self._unsaid[key] = answer
            else:
                row = {"text": answer.text, "tokens": answer.tokens, "prompt_tokens": answer.prompt_tokens, "by": self.by}
                self.ledger.put(key, row)
            self._count(key, answer, ours=True, ahead=ahead)
            for each in flying.pop(key):
                told(each, answer)

        by_number = dict(zip(range(len(seeds)), seeds, strict=True))
        if ahead:
            stop = self.meter.stop if self.meter else lambda: False
            engines.current().write(self.inner, missing(), came, held, by_number, stop=stop)
        else:  # few at a time, in the middle of something: not worth a way to another machine
            generation.stream(self.inner, missing(), came, by_number, held)

    def _found(self, key: str) -> tuple[Completion, str] | None:
        if row := self.ledger.get(key):
            return Completion(row["text"], row["tokens"], row["prompt_tokens"]), row["by"]
        return (self._unsaid[key], self.by) if key in self._unsaid else None

    def _count(self, key: str, answer: Completion, *, ours: bool, ahead: bool) -> None:
        """Each answer of this run is promised when it is there and charged when a shard takes it, once."""
        if not self.meter or not ours or key in self._charged:
            return
        if not ahead:
            self.meter.charge(self._name, answer, promised=key in self._promised)
            self._charged.add(key)
        elif key not in self._promised:
            self.meter.promise(self._name, answer)
            self._promised.add(key)

    def _key(self, one: Asked, form: str, *, inputs: str = "") -> str:
        """`record.digest` of it all would take longer than the ledger does."""
        parts = [part.encode("utf-8", "surrogatepass") for part in (form, inputs, str(one.seed), one.system, one.user)]
        framed = b"".join([b"%d:%b" % (len(part), part) for part in parts])
        return hashlib.blake2b(self._shared + framed, digest_size=12).hexdigest()


class RememberedImages:
    """A generator of images with a ledger before it. A key covers the brief, its starting image by hash, and of the generator
    what `what_writes` says; images stand in the ledger as blobs. What did not fit into memory is tried again another time."""

    def __init__(self, model: ImageModel, ledger: Ledger):
        self.inner, self.ledger, self._what = model, ledger, digest(what_writes(model))

    def draw(self, briefs: Sequence[Brief]) -> list[Drawn]:
        """As the generator's own, with what the ledger holds not drawn again; on the disk when it returns."""
        keys = [
            digest(self._what, b.label, b.seed, b.prompt, hash_of(b.start) if b.start is not None else None, b.strength)
            for b in briefs
        ]
        found = {key: drawn for key in keys if (drawn := self._found(key))}
        missing = {key: brief for key, brief in zip(keys, briefs, strict=True) if key not in found}
        for key, drawn in zip(missing, self.inner.draw([*missing.values()]) if missing else (), strict=True):
            found[key] = drawn
            if drawn.reason != OUT_OF_MEMORY:
                row = {"parameters": drawn.parameters, "reason": drawn.reason}
                self.ledger.put(key, row, blobs={} if drawn.image is None else {"image": drawn.image})
        self.ledger.commit()
        return [found[key] for key in keys]

    def _found(self, key: str) -> Drawn | None:
        if (row := self.ledger.get(key)) is None:
            return None
        return Drawn(row.get("blobs", {}).get("image"), row["parameters"], row["reason"])


def what_writes(model: TextModel | ImageModel) -> dict[str, Any]:
    """All that decides an answer beside the prompt, or an image beside the brief, and its seed."""
    package = getattr(model, "package", None)  # of the engine
    return {
        **model.describe(), "engine": type(model).__name__, "engine_version": refs.installed(package) if package else None,
        "at": getattr(model, "base_url", None),
        "code": source_of(*(base for base in type(model).__mro__ if base.__module__ not in ("builtins", "abc", "typing"))),
    }  # fmt: skip
