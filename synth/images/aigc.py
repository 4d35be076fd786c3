"""Pairs of a real image and a generated one for detectors of generated images: the same content, size, codec and final
processing on both sides, so that nothing but the generator tells them apart. `shortcuts.audit` says whether that holds."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

import numpy as np
import pyarrow as pa

from sparring import registry, vision
from sparring.errors import JobError
from sparring.protocols import Brief, Drawn, ImageModel
from sparring.record import digest

Draw = Callable[[Sequence[Brief]], Sequence[Drawn]]
Codec = Literal["png", "jpeg", "webp"]
REAL = ""  # the generator of a real image


@dataclass(frozen=True, slots=True)
class Sample:
    """One side of a pair. `source` is the real image that both sides come from, `level` how hard they were laundered."""

    id: str
    image: bytes
    generator: str  # `REAL` for the real side
    pair: str  # the real side of it is paired with this generator's image
    source: str
    label: str
    level: float
    against: str  # the generator of the pair, on both sides
    parameters: str  # JSON: what makes the image again


@dataclass(frozen=True, slots=True)
class Pairs:
    """`samples` come by pairs, the real side first; `failed` counts why a generator gave no image, by "name: reason"."""

    samples: tuple[Sample, ...]
    failed: Mapping[str, int]

    def generated(self) -> np.ndarray:
        """(n,) bool."""
        return np.array([s.generator != REAL for s in self.samples], bool)

    def table(self) -> pa.Table:
        """One row a sample, its fields as columns, and `generated`."""
        names = Sample.__slots__
        columns = {name: [getattr(s, name) for s in self.samples] for name in names}
        return pa.table(columns).append_column("generated", pa.array(self.generated()))


@dataclass(frozen=True, slots=True)
class Split:
    """Positions of samples: to learn from, of other generators and sources than those to test on."""

    held_out: str
    train: np.ndarray
    test: np.ndarray


def pairs(
    reals: Sequence[bytes], labels: Sequence[str], generators: Mapping[str, ImageModel | Draw], *, size: int,
    channels: Literal[1, 3] = 3, levels: Sequence[float] = (0.0, 0.3, 0.7), strength: float = 0.5, codec: Codec = "jpeg",
    quality: int = 90, seed: int = 0,
) -> Pairs:  # fmt: skip
    """Each real image beside what each generator makes of it (SDEdit at `strength` in (0, 1]) under the same label.

    Both sides are brought to `size` x `size`, laundered with the same draws at one of `levels` (0 leaves them as they are), and
    written by one codec with one quality. An image depends on its source, its generator and the seed alone.
    """
    if len(reals) != len(labels) or not generators or REAL in generators:
        raise JobError(
            f"expected a label for each real image and at least one named generator; got {len(reals)} images, "
            f"{len(labels)} labels and {list(generators)}"
        )
    launder = registry.make("image_operator", "launder", keep_size=True)
    samples: list[Sample] = []
    failed: dict[str, int] = {}
    sources = [digest(image.hex()) for image in reals]
    for name, generator in generators.items():
        seeds = [int(digest(seed, name, source)[:7], 16) for source in sources]
        briefs = [Brief(label, s, start=r, strength=strength) for label, s, r in zip(labels, seeds, reals, strict=True)]
        draw: Draw = generator if not hasattr(generator, "draw") else generator.draw
        for real, source, brief, drawn in zip(reals, sources, briefs, draw(briefs), strict=True):
            if drawn.image is None:
                reason = f"{name}: {drawn.reason}"
                failed[reason] = failed.get(reason, 0) + 1
                continue
            pair, rng = digest(seed, name, source, "pair"), Random(brief.seed)
            level, launder_seed = rng.choice(list(levels)), rng.getrandbits(32)
            for file, by, made in ((real, REAL, "{}"), (drawn.image, name, drawn.parameters)):
                pixels = vision.pixels([file], size=size, channels=channels)[0]
                if level:
                    pixels = launder.on_pixels(pixels, strength=level, rng=Random(launder_seed))
                said = json.dumps({"made": json.loads(made), "launder_seed": launder_seed, "codec": codec, "quality": quality})
                samples.append(
                    Sample(digest(pair, by), written(pixels, codec, quality), by, pair, source, brief.label, level, name, said)
                )
    return Pairs(tuple(samples), failed)


def leave_one_out(
    pairs: Pairs, *, test_share: float = 0.3, groups: Mapping[str, str] | None = None, seed: int = 0
) -> list[Split]:
    """A split for each generator: it is tested on images of that one, learned from those of all others, and no source stands
    on both sides, nor two of one of the `groups`: source -> group, such as near copies. With one generator alone there is
    nothing to learn from: `JobError`."""
    names = sorted({s.against for s in pairs.samples})
    if len(names) < 2:
        raise JobError(f"expected two generators or more to leave one out, got {names}")
    of = {s.source: (groups or {}).get(s.source, s.source) for s in pairs.samples}
    names_of = sorted(set(of.values()))
    chosen = np.random.default_rng(seed).permutation(len(names_of))[: max(1, round(test_share * len(names_of)))]
    held = {names_of[i] for i in chosen}
    against = np.array([s.against for s in pairs.samples])
    tested = np.array([of[s.source] in held for s in pairs.samples])
    return [
        Split(name, np.flatnonzero((against != name) & ~tested), np.flatnonzero((against == name) & tested)) for name in names
    ]


def written(pixels: np.ndarray, codec: Codec, quality: int) -> bytes:
    """(h, w, 1 or 3) uint8 as a file; `quality` is for the lossy codecs."""
    from PIL import Image

    if codec == "png":
        return vision.png(pixels)
    if codec not in ("jpeg", "webp"):
        raise JobError(f"expected a codec out of png, jpeg, webp; got {codec!r}")
    held = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(held, codec.upper(), quality=quality)
    return held.getvalue()
