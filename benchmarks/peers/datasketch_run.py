"""datasketch's MinHash and LSH as published: `PYTHON datasketch_run.py REQUEST.json RESPONSE.json`, one thread, CPU seconds.

Request: texts, threshold. Response: version; `bulk`, seconds of the signatures by MinHash.bulk, 128 permutations, shingles
included; `whole`, seconds of all that makes pairs: that, the LSH, and each candidate verified by the Jaccard similarity of its
shingles; `pairs` of rows.
"""

from __future__ import annotations

import importlib.metadata
import json
import pathlib
import sys
import time


def main() -> None:
    from datasketch import MinHash, MinHashLSH

    request = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    start = time.process_time()
    shingles = [{t[i : i + 5] for i in range(max(1, len(t) - 4))} for t in map(str.encode, request["texts"])]
    signatures = MinHash.bulk(shingles, num_perm=128, seed=1)
    bulk = time.process_time() - start
    index = MinHashLSH(threshold=request["threshold"], num_perm=128)
    for i, signature in enumerate(signatures):
        index.insert(i, signature)
    pairs = []
    for i, signature in enumerate(signatures):
        for j in index.query(signature):
            if i < j and len(shingles[i] & shingles[j]) > request["threshold"] * len(shingles[i] | shingles[j]):
                pairs.append((i, j))
    whole = time.process_time() - start
    answer = {"version": importlib.metadata.version("datasketch"), "bulk": bulk, "whole": whole, "pairs": pairs}
    pathlib.Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
