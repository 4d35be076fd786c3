"""Generation's part of docs/benchmarks.md."""

from __future__ import annotations

from typing import Any

from .tables import number, table

HEAD = """## Generation: what it costs beside the model

A server on loopback answers each request after 50 ms. `cpu_ms_per_request`: CPU time of all threads of the process by the
number of requests, with 64 and 512 in flight; ours asks through the ledger and returns when every answer is on the disk, bare
aiohttp posts the same bodies and keeps the answers in memory. The least of five rounds in turn. `wall_overhead`: wall time of
texts in shards with the ledger, synced files and commits, over the same texts, screened alike, without any of it, less 1: the
median of pairs, the first of a pair in turn, with its quartiles. It needs a quiet machine, where `cpu_ms_per_request` does not.
`kill`: SIGKILL at random moments and the same again; what the server was asked twice, beyond what was in flight and one commit
group of 256 rows. `vllm`: tokens a second through the ledger over the same engine's own `generate`, given everything in one
call; the median of pairs on the same prompts and seeds, measured where `make .venv-vllm/done` could install it.
"""


def tables(details: dict[str, Any]) -> str:
    parts = []
    ways = [name for name in details["server_64"] if name not in ("requests", "rounds")]
    rows = [[name, *(number(details[f"server_{flying}"][name]) for flying in (64, 512))] for name in ways]
    parts += ["### CPU a request\n", table(["ms", "64 in flight", "512 in flight"], rows)]
    parts += ["### Durability and kills\n"]
    parts.append(table(["durability", ""], [[name, number(value)] for name, value in details["durability"].items()]))
    if "vllm" in details:
        figures = details["vllm"]
        speeds = [[who, number(speed)] for who, speed in figures["tokens_per_second"].items()]
        settings = f"{figures['model']}, {figures['prompts']} prompts, {figures['rounds']} pairs"
        parts += ["### vLLM in process\n", f"{settings}; {figures['vllm']}.\n", table(["tokens a second", ""], speeds)]
    shown = {k: v for k, v in details["kill"].items() if not isinstance(v, list)}
    listed = {k: ", ".join(map(str, v)) for k, v in details["kill"].items() if isinstance(v, list)}
    parts.append(
        table(["kill", ""], [[name, number(value)] for name, value in shown.items()] + [list(x) for x in listed.items()])
    )
    parts += ["### The ledger's store\n", "Microseconds a row. The last wrote a twentieth of the rows.\n"]
    names = list(details["ledgers"][0])
    parts.append(
        table(names, [[str(r[n]) if isinstance(r[n], str) else number(r[n]) for n in names] for r in details["ledgers"]])
    )
    return "\n".join(parts)
