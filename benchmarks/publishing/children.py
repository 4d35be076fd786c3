"""What the measured processes do."""

from __future__ import annotations

import pathlib
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from benchmarks import memory, shared
from benchmarks.publishing import sources
from sparring import policy
from sparring.record import features

RULES = policy.load(shared.ROOT / "examples" / "policies" / "spam.yaml")


def run(*, what: str, setting: str, n: int, folder: str) -> dict[str, Any]:
    pa.set_cpu_count(1)
    if what == "faults":
        from benchmarks.publishing import broken

        return {"cases": broken.cases(RULES, most=n)}
    place = pathlib.Path(folder)
    if what == "source":
        _source(setting, n, place)
        return {}
    with tempfile.TemporaryDirectory() as out:
        if what == "memory":
            made = _ours(sources.tables(setting, n, RULES, stamps=True), pathlib.Path(out))
            return {"peak_gb": memory.peak_gb(), "megabytes_on_disk": made["bytes_out"] / 1e6}
        return _timed(what, place, pathlib.Path(out))


def _source(setting: str, n: int, place: pathlib.Path) -> None:
    """A dataset on disk as `datasets` keeps it."""
    from datasets.arrow_writer import ArrowWriter

    place.mkdir()
    with ArrowWriter(path=str(place / "data.arrow"), features=features(RULES)) as writer:
        for table in sources.tables(setting, n, RULES):
            writer.write_table(table)
        writer.finalize()


def _timed(who: str, place: pathlib.Path, out: pathlib.Path) -> dict[str, Any]:
    from datasets import Dataset

    source = Dataset.from_file(str(place / "data.arrow"))
    size = sum(path.stat().st_size for path in place.iterdir())
    for work in ("bare", "ours"):  # what is imported late is imported now
        _written(work, source.select(range(100)), out / f"warm-{work}")
    started = time.process_time()
    found = _written(who, source, out / who)
    return {"rows": len(source), "cpu_seconds": time.process_time() - started, "bytes_in": size, **found}


def _written(who: str, source: Any, out: pathlib.Path) -> dict[str, Any]:
    out.mkdir()
    if who == "bare":
        source.to_parquet(str(out / "bare.parquet"))
        return {"bytes_out": (out / "bare.parquet").stat().st_size}
    return _ours(_batches(source), out)


def _batches(source: Any) -> Iterator[pa.Table]:
    yield from source.with_format("arrow").iter(batch_size=sources.BATCH)


def _ours(tables: Iterator[pa.Table], out: pathlib.Path) -> dict[str, Any]:
    """All that happens before the first byte is sent: shards, manifest, card, Croissant; then checked, scanned and merged."""
    from sparring.publishing import push, scan, write
    from sparring.publishing.remote import Head

    parts: dict[str, float] = {}

    def told(name: str, since: float) -> float:
        parts[name] = time.process_time() - since
        return time.process_time()

    at = time.process_time()
    write.stream(out / "dataset", tables, RULES, name="bench", facts={})
    at = told("write", at)
    local = push.checked(out / "dataset")
    at = told("check", at)
    head = Head(None, "x/y", "", True, {}, None)  # type: ignore[arg-type]
    rules = scan.Scan(RULES, literals=["a token"])
    change = push.Merge(head, out / "dataset", local, out, rules, push.Options(), None).change()
    told("scan and merge", at)
    assert change.manifest.rows == local.rows
    return {"bytes_out": sum(s.bytes for s in local.shards.values()), "parts": parts}
