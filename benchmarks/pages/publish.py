"""Publishing's part of docs/benchmarks.md."""

from __future__ import annotations

from typing import Any

from .tables import number, table

HEAD = """## Publishing: rows a second, memory, and what is left when the line breaks

Rows of Sparring's schema, a third of them synthetic, over four splits and three rounds. Ours is all that happens before the
first byte is sent: shards by split and part, manifest, card and Croissant metadata written, ids checked, every row scanned
for secrets. Bare is `datasets.Dataset.to_parquet` of the same dataset from disk, one file. One thread, CPU seconds, ours and
bare in turn, each in a process of its own. Texts are 18 words; pictures are PNG of noise, about 12 KB. Memory is the peak of
a process that publishes rows as they are made (pictures: stamps of 4 x 4). Faults: the real client pushes a second dataset
over a line with one fault a push, into a small hub on loopback that holds a first; rows are counted afterwards.
"""


def tables(details: dict[str, Any]) -> str:
    parts = []
    for setting in ("text", "images"):
        if setting not in details:
            continue
        found = details[setting]
        speeds = [
            [who, f"{found['rows']:,}", number(found["rows_per_second"][who]), number(found["megabytes_per_second"][who]),
             number(found["megabytes_on_disk"][who])]
            for who in ("ours", "bare")
        ]  # fmt: skip
        memory = [[f"{row['rows']:,}", number(row["peak_gb"]), number(row["megabytes_on_disk"])] for row in found["memory"]]
        steps = ", ".join(f"{name} {number(seconds)} s" for name, seconds in found["parts_of_ours"].items())
        parts += [
            f"### {setting}\n", table(["", "rows", "rows/s", "MB/s", "MB on disk"], speeds), f"Ours by step: {steps}.\n",
            table(["rows", "peak GB", "MB on disk"], memory),
        ]  # fmt: skip
    cases = details["faults"]["cases"]
    rows = [[c["case"], *(str(c[name]) for name in ("rows", "lost", "duplicate", "commits"))] for c in cases]
    return "\n".join([*parts, "### faults\n", table(["fault, once", "rows", "lost", "duplicate", "commits"], rows)])
