"""What `sparring synth` does beside a job: each command parses, makes one library call, renders."""

from __future__ import annotations

import json as _json
import pathlib
from typing import Annotated

import typer

from sparring.commands import Json, OrJob

app = typer.Typer(cls=OrJob, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def _about() -> None:
    """Make samples: with a job file its language model writes, and the filter judge keeps what violates.

    Example: sparring synth examples/sms_spam.yaml

    Example: sparring synth train images/ --out generator

    Example: sparring synth aigc images/ --generators generators.yaml --out pairs
    """


@app.command()
def train(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder with a subfolder of images for each label, a parquet file, or hf://ORG/NAME.", metavar="IMAGES"
        ),
    ],
    out: Annotated[pathlib.Path, typer.Option(help="Folder for the generator, or for the adapter; must not be there.")] = (
        pathlib.Path("generator")
    ),
    image: Annotated[str, typer.Option(help="Column of images.")] = "image",
    label: Annotated[str, typer.Option(help="Column of labels.")] = "label",
    split: Annotated[str | None, typer.Option(help="Split to read of a data set on the hub.")] = None,
    size: Annotated[int, typer.Option(help="Side in pixels, divisible by 4; images are resized to it.", min=8)] = 28,
    colour: Annotated[bool, typer.Option("--colour", help="Three channels instead of grey.")] = False,
    epochs: Annotated[int, typer.Option(help="Passes over the images.", min=1)] = 5,
    model: Annotated[str | None, typer.Option(help="A diffusers model to fine-tune by LoRA instead; needs a GPU.")] = None,
    steps: Annotated[int, typer.Option(help="Steps of LoRA.", min=1)] = 500,
    rank: Annotated[int, typer.Option(help="Rank of LoRA.", min=1)] = 16,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json: Json = False,
) -> None:
    """Train a small diffusion model on images of yours (`tiny`), or a LoRA adapter for a large one with --model.

    Example: sparring synth train images/ --out generator --size 28
    """
    from .images import command

    def told(done: int, total: int) -> None:
        if not done % max(1, total // 20):
            typer.echo(f"{done} of {total}", err=True)

    columns = {"image": image, "label": label, "split": split}
    if model:
        found = command.adapt(source, out, model, columns, steps=steps, rank=rank, seed=seed, progress=told)
    else:
        options = {"size": size, "channels": 3 if colour else 1, "epochs": epochs, "seed": seed}
        found = command.train(source, out, columns, options, progress=told)
    typer.echo(_json.dumps(found, indent=1) if json else "\n".join(f"{key:24} {value}" for key, value in found.items()))


@app.command()
def aigc(
    source: Annotated[
        str,
        typer.Argument(
            help="Real images: a folder with a subfolder for each label, a parquet file, or hf://ORG/NAME.", metavar="IMAGES"
        ),
    ],
    generators: Annotated[
        pathlib.Path, typer.Option(help="YAML, NAME: {kind: tiny, model: FOLDER}; two or more can be left out in turn.")
    ],
    out: Annotated[pathlib.Path, typer.Option(help="Folder for the data set; must not be there.")] = pathlib.Path("pairs"),
    image: Annotated[str, typer.Option(help="Column of images.")] = "image",
    label: Annotated[str, typer.Option(help="Column of labels, which the generators are asked for.")] = "label",
    split: Annotated[str | None, typer.Option(help="Split to read of a data set on the hub.")] = None,
    most: Annotated[int | None, typer.Option(help="Real images to take, at most.", min=1)] = None,
    size: Annotated[int, typer.Option(help="Side in pixels that both sides are brought to.", min=8)] = 256,
    colour: Annotated[bool, typer.Option(" /--grey", help="One channel instead of three.")] = True,
    level: Annotated[
        list[float] | None, typer.Option(help="How hard both sides are laundered, 0 to 1; may be repeated.", min=0, max=1)
    ] = None,
    strength: Annotated[float, typer.Option(help="Noise that a generator starts from, of 1.", min=0.05, max=1)] = 0.5,
    codec: Annotated[str, typer.Option(help="png, jpeg or webp, for both sides.")] = "jpeg",
    quality: Annotated[int, typer.Option(help="Of the codec.", min=1, max=100)] = 90,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json: Json = False,
) -> None:
    """Make a data set for detectors of generated images: pairs of a real and a generated one that differ in nothing else, a
    split for each generator that is left out of training, and an audit of shortcuts.

    Example: sparring synth aigc images/ --generators generators.yaml --out pairs
    """
    from .images import command

    columns = {"image": image, "label": label, "split": split}
    options = {
        "size": size, "channels": 3 if colour else 1, "levels": level or [0.0, 0.3, 0.7], "strength": strength, "codec": codec,
        "quality": quality,
    }  # fmt: skip
    found = command.aigc(source, out, generators, columns, options, seed=seed, most=most)
    if json:
        typer.echo(_json.dumps(found, indent=1))
        return
    audit = found.pop("audit")
    typer.echo("\n".join([*(f"{key:24} {value}" for key, value in found.items()), "", *audit]))
