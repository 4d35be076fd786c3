"""What a job's generator of images makes on a GPU, beside the bare pipeline: images a second, accepted an hour, memory.

    python benchmarks/images_gpu.py --job examples/images_sdxl.yaml     # on a machine with a GPU and the models
    python benchmarks/images_gpu.py --tiny                              # a tiny random pipeline, anywhere: its test

Prints, and stores nothing. Targets, guides and judges are those of the job, fitted as a run would; seeds are test rows.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import yaml

from benchmarks.shared import ROOT, Row
from redteam import engine, parts
from redteam.engine import Seed
from redteam.knowledge import Knowledge
from sparring import generators, jobs, retrain
from sparring.context import Context, open_context
from sparring.protocols import Brief


def measure(ctx: Context, seeds: int) -> tuple[list[Row], dict[str, Any]]:
    """The same number of images by the bare pipeline, by the generator and with guidance; then an attack, judged."""
    import torch

    model: Any = generators.image_model(ctx)
    rows = ctx.corpus.by("test", violating=True)[:seeds]
    target = retrain.fit(ctx, "target", ctx.corpus.by("train"), seed=ctx.job.seed).target
    strategy: Any = parts.strategy(ctx, Knowledge(), ctx.operators())
    noise = float(strategy.strengths[0])
    briefs = [Brief(r.label_name, i, start=r.content, strength=noise) for i, r in enumerate(rows)]  # type: ignore[arg-type]
    pipeline = model.pipeline
    prompts = [model.template.replace("{}", b.label) for b in briefs]
    size = model.rows_at_once(briefs[0])

    def bare() -> None:
        height, width = model._size
        given = {"height": height, "width": width, "num_inference_steps": model.steps, "output_type": "np"}
        for start in range(0, len(prompts), size):
            some = prompts[start : start + size]
            seeds_of = [torch.Generator().manual_seed(i) for i in range(len(some))]
            pipeline(prompt=some, generator=seeds_of, **given, **model.call)

    ways: dict[str, Callable[[], Any]] = {
        "bare": bare,
        "drawn": lambda: model.draw([Brief(b.label, b.seed) for b in briefs]),
        "redrawn": lambda: model.draw(briefs),
        "guided": lambda: model.draw(briefs, wrap=strategy.guidance(strategy.surrogates or [target]).wrap),
    }
    bare()  # what is loaded and compiled once counts for nobody
    found = {name: _spent(way) for name, way in ways.items()}
    out = []
    for name, (seconds, memory) in found.items():
        peer = found["bare"] if name != "bare" else (None, None)
        speed = len(briefs) / peer[0] if peer[0] else None
        out.append(Row(name, "images_s", "images/s", len(briefs) / seconds, speed, "bare pipeline" if speed else ""))
        out.append(
            Row(name, "memory", "GB", memory, peer[1], "bare pipeline" if peer[1] else "", higher_is_better=False)
        )  # fmt: skip
    started = time.perf_counter()
    outcomes = engine.attack(
        strategy, target, [Seed(r.id, r.content, r.label_name) for r in rows], ctx.judges.filter, budget=ctx.job.attack.budget,
        seed=ctx.job.seed, medium=ctx.job.medium,
    )  # fmt: skip
    hours = (time.perf_counter() - started) / 3600
    won = [o for o in outcomes if o.status == "success" and o.sample]
    out.append(Row("attack", "accepted_gpu_hour", "samples/h", len(won) / hours))
    audit = ctx.judges.audit.assess(
        [o.seed.text for o in won], [o.sample.text for o in won if o.sample], [o.seed.label for o in won]
    )
    out.append(Row("attack", "audit_validity", "share", sum(v.valid for v in audit) / len(won) if won else None))
    return out, {"images": len(briefs), "batch": size, "accepted": len(won), "queries": sum(o.queries for o in outcomes)}


def _spent(way: Callable[[], Any]) -> tuple[float, float | None]:
    """Seconds, and the highest memory of the GPU in GB; None without one."""
    import torch

    there = torch.cuda.is_available()
    if there:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    way()
    if there:
        torch.cuda.synchronize()
    return time.perf_counter() - started, torch.cuda.max_memory_allocated() / 1e9 if there else None


def tiny(folder: pathlib.Path, example: pathlib.Path) -> pathlib.Path:
    """The example's job with a tiny random pipeline and decoder, nets for judges, and small stamps."""
    sys.path.insert(0, str(ROOT))
    from examples import stamps
    from tests.synth.images import pipelines

    job = yaml.safe_load(example.read_text(encoding="utf-8"))
    side = pipelines.SIDE
    pipelines.build("flux" if "flux" in example.stem else "sdxl", folder / "pipeline")
    pipelines.decoder(folder / "decoder")
    stamps.main(folder / "stamps.parquet", 200, side)
    job["policy"] = str((example.parent / job["policy"]).resolve())
    job["data"]["source"] = "stamps.parquet"
    job["synth"]["model"] |= {"model": "pipeline", "quantise": "", "dtype": "float32", "decoder": "decoder", "steps": 4}
    job["synth"]["model"] |= {"height": side, "width": side, "template": "{}"}
    net = {"kind": "net", "size": 16, "channels": 3, "epochs": 2}
    job["target"] = net | {"architecture": "residual"}
    job["attack"]["strategy"] |= {"guides": [net | {"architecture": "patches"}], "strengths": [0.75], "skip": 0, "unguided": 1}
    job["attack"]["budget"] = 6
    nets = {"kind": "nets", "size": 16, "channels": 3, "epochs": 2, "least": 0.0, "max_fpr": 0.5}
    job["judges"] = {"filter": nets | {"architectures": ["cnn"]}, "audit": nets | {"architectures": ["mlp"]}}
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(job), encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", type=pathlib.Path, default=ROOT / "examples" / "images_sdxl.yaml")
    parser.add_argument("--seeds", type=int, help="test rows to draw from; 64 unless given, 4 with --tiny")
    parser.add_argument("--tiny", action="store_true", help="a tiny random pipeline in place of the job's")
    asked = parser.parse_args()
    import torch

    if not asked.tiny and not torch.cuda.is_available():
        parser.error("expected a GPU, torch sees none. Fix: --tiny")
    with tempfile.TemporaryDirectory() as place:
        path = tiny(pathlib.Path(place), asked.job) if asked.tiny else asked.job
        job = jobs.load(path).model_copy(update={"runs": f"{place}/runs", "name": "images-gpu"})
        with open_context(job, lambda event: None) as ctx:
            rows, facts = measure(ctx, asked.seeds or (4 if asked.tiny else 64))
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    told = {"device": card, "tiny": asked.tiny, **facts, "rows": [asdict(row) for row in rows]}
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
