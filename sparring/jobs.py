"""The job file: what to spar with. Every default stands here; `sparring new` writes a commented one."""

from __future__ import annotations

import pathlib
import re
from typing import Annotated, Any, Literal

import pydantic

from .errors import JobError
from .media import IMAGES, TEXTS, Medium
from .places import Place
from .record import SPLITS
from .yamls import read_model

Rate = Annotated[float, pydantic.Field(ge=0, le=1)]
Count = Annotated[int, pydantic.Field(ge=1)]
Positive = Annotated[float, pydantic.Field(gt=0)]


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Part(pydantic.BaseModel):
    """A registered part by name, with its own settings beside."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True)
    kind: str

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class DataSettings(_Strict):
    source: str
    format: Literal["csv", "tsv", "jsonl", "parquet", "dataset"] = "dataset"
    columns: list[str] | None = None  # names, for a csv or tsv without a header
    text: str = "text"
    image: str | None = None  # a column of images: they are what is classified, and the parts are those for images
    label: str = "label"
    key: str | None = None  # a column with the row's own id; without it the text's hash
    labels: dict[str, str] | None = None  # the data's labels -> the policy's
    language: str | None = None
    split: dict[str, Rate] = {"train": 0.5, "validation": 0.1, "judge": 0.1, "test": 0.3}
    max_bad_rows: Rate = 0.01

    @property
    def medium(self) -> Medium:
        return IMAGES if self.image else TEXTS

    @pydantic.field_validator("split")
    @classmethod
    def _whole(cls, value: dict[str, float]) -> dict[str, float]:
        if set(value) != set(SPLITS) or abs(sum(value.values()) - 1) > 1e-9 or min(value.values()) <= 0:
            raise ValueError(f"expected positive shares for {', '.join(SPLITS)} that sum to 1")
        return {split: value[split] for split in SPLITS}


class SynthSettings(_Strict):
    model: Part | None = None  # None: no generated seeds
    samples: Count = 64  # a round


class AttackSettings(_Strict):
    operators: Annotated[list[str], pydantic.Field(min_length=1)] = [
        "dilution", "homoglyph", "keyboard", "leet", "merge", "punctuation", "repeat", "spacing", "split", "texting", "typo",
        "zero_width",
    ]  # fmt: skip
    operator_settings: dict[str, dict[str, Any]] = {}  # of operators, by name; without it their defaults
    held_out: list[str] = []  # operators that training never uses; each round's target is tested with them alone as well
    strategy: Part = Part(kind="greedy")
    budget: Annotated[int, pydantic.Field(ge=2)] = 50  # queries a seed, the clean check among them
    judge_budget: Count = 4  # hits of a seed that the filter judge is asked about, at most
    warmup: Annotated[int, pydantic.Field(ge=0)] = 2000  # queries on training rows, before a round
    train_seeds: Count = 200
    wins: Count = 1  # successes sought on each training seed, within the same budget; mining chooses among them
    folds: Count = 1  # over 1: training seeds are attacked on classifiers that were trained without their group
    test_seeds: Count = 150  # held-out violating rows, in the data's order
    payoff_seeds: Count = 60  # the first of them, for every attacker against every target

    @pydantic.model_validator(mode="after")
    def _apart(self) -> AttackSettings:
        if unknown := sorted(self.operator_settings.keys() - {*self.operators, *self.held_out}):
            raise ValueError(
                f"`operator_settings` are given for {', '.join(unknown)}, which neither `operators` nor `held_out` names"
            )
        if both := sorted({*self.operators} & {*self.held_out}):
            raise ValueError(
                f"`held_out` names {', '.join(both)}, which `operators` trains on; take each out of one of the two"
            )
        return self


class JudgeSettings(_Strict):
    filter: Part = Part.model_validate({"kind": "classifier", "embedder": "minilm"})
    audit: Part = Part.model_validate({"kind": "classifier", "embedder": "wordllama"})
    cosine: Rate = 0.8  # to the seed, on canonical text
    longer: Annotated[float, pydantic.Field(ge=1)] = 1.5  # at most so many times the seed's length, plus 20 characters


class MiningSettings(_Strict):
    embedder: Part = Part(kind="minilm")
    near_duplicate: Rate = 0.95  # cosine
    select: Count = 200  # hard examples that a round adds to training, and as many benign rows


class RetrainSettings(_Strict):
    """In a job file also a word: `none` (data only), or a command line, for a classifier that is trained elsewhere."""

    by: Literal["job", "command", "none"] = "job"
    command: str | None = None  # run with {data} (a dataset folder) and {out} (where to leave what the target kind loads)
    max_f1_loss: Rate = 0.01  # the gate's tolerance on held-out clean data
    settings: dict[str, Any] = {}  # of the target, in which a retrained one differs from the first

    @pydantic.model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"by": "none"} if value == "none" else {"by": "command", "command": value}
        return value

    @pydantic.model_validator(mode="after")
    def _whole(self) -> RetrainSettings:
        if (self.by == "command") != bool(self.command):
            raise ValueError("`command` is needed with `by: command`, and only there")
        if self.settings and self.by != "job":
            raise ValueError("`settings` are those of a classifier that the job retrains: leave `by` at `job`")
        return self


class Price(_Strict):
    """Of a million tokens."""

    read: Annotated[float, pydantic.Field(ge=0)] = 0.0
    written: Annotated[float, pydantic.Field(ge=0)] = 0.0


class Prices(_Strict):
    models: dict[str, Price] = {}  # by the model's name as the job has it
    gpu_hour: Annotated[float, pydantic.Field(ge=0)] = 0.0
    thousand_queries: Annotated[float, pydantic.Field(ge=0)] = 0.0  # of the target


class Limits(_Strict):
    """Where the run ends, in good order. `seconds` is of one start of the command, everything else of the whole run."""

    queries: Count | None = None  # scores that attacks and warm-up ask of the target; no attack begins that could exceed it
    tokens: Count | None = None  # read and written by language models; what is in flight is finished
    gpu_seconds: Positive | None = None  # GPUs held, by seconds of work
    gpus: Annotated[int, pydantic.Field(ge=0)] | None = None  # None: as torch sees them
    money: Positive | None = None
    seconds: Positive | None = None
    least_yield: Rate | None = None  # share of texts accepted, or of attacked training seeds won...
    yield_over: Count = 200  # ...among the newest so many
    prices: Prices = Prices()

    @pydantic.model_validator(mode="after")
    def _priced(self) -> Limits:
        if self.money is not None and self.prices == Prices():
            raise ValueError("a limit on `money` needs `prices`: models, gpu_hour or thousand_queries")
        return self


class ProvenanceSettings(_Strict):
    """What published files of generated images say of themselves, beside a note in their text. `auto`: a C2PA manifest where
    c2pa-python is installed, signed with `chain` and `key` (PEM files), or by a signer of the moment that nobody vouches for.
    `embeddings`: whether the dataset's table `fingerprints` holds mining's vector of each image beside its perceptual hash.
    """

    c2pa: Literal["auto", "off"] = "auto"
    chain: str | None = None
    key: str | None = None
    algorithm: Literal["es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519"] = "es256"
    embeddings: bool = True

    @pydantic.model_validator(mode="after")
    def _whole(self) -> ProvenanceSettings:
        if bool(self.chain) != bool(self.key) or (self.chain and self.c2pa == "off"):
            raise ValueError("expected `chain` and `key` together, without `c2pa: off`")
        return self


# What stands for a job of images where it says nothing; the defaults above are those of texts.
OF_IMAGES: dict[str, dict[str, Any]] = {
    "attack": {
        "operators": ["affine", "blur", "brightness", "contrast", "gaussian_noise", "jpeg", "occlusion", "pixelate"],
        "strategy": {"kind": "corrupt"},
    },
    "judges": {
        "filter": {"kind": "nets", "architectures": ["residual"]},
        "audit": {"kind": "nets", "architectures": ["mlp"]},
    },
    "mining": {"embedder": {"kind": "pixels"}, "near_duplicate": 0.99},
}  # fmt: skip


class Job(_Strict):
    name: Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
    series: bool = False  # each `run` after a finished one is a new run, NAME-0002, with the next seed
    seed: Annotated[int, pydantic.Field(ge=0)] = 0
    rounds: Annotated[int, pydantic.Field(ge=0, le=100)] = 3  # retrainings
    threads: Count = 1
    runs: str = "runs"  # folder of run folders, relative to the working directory, or s3://BUCKET/FOLDER
    policy: str
    data: DataSettings
    target: Part
    max_fpr: Rate | None = 0.01  # clean false positives on validation that set each target's threshold; null: its own
    synth: SynthSettings = SynthSettings()
    attack: AttackSettings = AttackSettings()
    judges: JudgeSettings = JudgeSettings()
    mining: MiningSettings = MiningSettings()
    retrain: RetrainSettings = RetrainSettings()
    limits: Limits = Limits()
    provenance: ProvenanceSettings = ProvenanceSettings()
    engine: Part = Part(kind="local")  # also a word: `ray`

    @pydantic.field_validator("engine", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @pydantic.model_validator(mode="before")
    @classmethod
    def _images(cls, value: Any) -> Any:
        data = value.get("data") if isinstance(value, dict) else None
        if not (data.image if isinstance(data, DataSettings) else isinstance(data, dict) and data.get("image")):
            return value
        given = {name: value.get(name, {}) for name in OF_IMAGES}
        filled = {name: OF_IMAGES[name] | part for name, part in given.items() if isinstance(part, dict)}
        return value | filled

    @pydantic.model_validator(mode="after")
    def _trains_folds(self) -> Job:
        if self.attack.folds > 1 and self.retrain.by != "job":
            raise ValueError("`attack.folds` over 1 needs a classifier that the job trains itself: leave `retrain.by` at `job`")
        return self

    base: pathlib.Path = pathlib.Path(".")  # where relative references count from: the job file's folder

    @property
    def medium(self) -> Medium:
        return self.data.medium

    @property
    def folder(self) -> pathlib.Path:
        """Where run folders stand on this machine; of `runs` in an object store, the copy that is worked on."""
        scheme, _, rest = self.runs.partition("://")
        return pathlib.Path("runs", scheme, rest) if rest else pathlib.Path(self.runs)

    @property
    def place(self) -> Place | None:
        """Of `runs` in an object store, the record."""
        return Place(self.runs) if "://" in self.runs else None

    @property
    def retrained(self) -> Part:
        """The target as it is trained again."""
        return Part(kind=self.target.kind, **self.target.settings | self.retrain.settings)

    @property
    def retrainings(self) -> int:
        return 0 if self.retrain.by == "none" else self.rounds

    @property
    def identity(self) -> dict[str, Any]:
        """What makes two runs the same job: all but where it runs, on what, when it is to stop, and who signs."""
        return self.model_dump(mode="json", exclude={"runs", "threads", "base", "limits", "provenance", "engine"})


def load(path: str | pathlib.Path, *, fresh: bool = False) -> Job:
    """Reads a job file. Raises `JobError` with every fault, a line each; `check.inputs` looks at what it refers to.

    A job with `series` is that of its newest run, or with `fresh` of the next one where that is finished.
    """
    path = pathlib.Path(path)
    job: Job = read_model(Job, path, JobError).model_copy(update={"base": path.parent})
    return _numbered(job, fresh=fresh) if job.series else job


def stem(job: Job) -> str:
    """The job's name without the number of a run of a series."""
    return job.name.rpartition("-")[0] if job.series else job.name


def _numbered(job: Job, *, fresh: bool) -> Job:
    pattern = re.compile(re.escape(job.name) + r"-(\d{4,})")
    names = job.place.folders() if job.place else [p.name for p in job.folder.glob(f"{job.name}-*")]
    found = {int(m[1]): name for name in names if (m := pattern.fullmatch(name))}
    number = max(found, default=1)
    if fresh and number in found and _finished(job, found[number]):
        number += 1
    return job.model_copy(update={"name": f"{job.name}-{number:04d}", "seed": job.seed + number - 1})


def _finished(job: Job, name: str) -> bool:
    summary = f"{name}/summary.json"
    return job.place.get(summary) is not None if job.place else (job.folder / summary).exists()
