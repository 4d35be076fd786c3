"""`croissant.json`: the dataset in MLCommons' vocabulary, https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html."""

from __future__ import annotations

import json
from typing import Any

from .manifest import Manifest

_CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "arrayShape": "cr:arrayShape", "citeAs": "cr:citeAs",
    "column": "cr:column", "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataBiases": "cr:dataBiases", "dataCollection": "cr:dataCollection",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field",
    "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet", "format": "cr:format",
    "includes": "cr:includes", "isArray": "cr:isArray", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath",
    "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path",
    "personalSensitiveInformation": "cr:personalSensitiveInformation", "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/", "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip
_FIELDS = {
    "id": ("sc:Text", "The row's id; it never changes and is never given to another row."),
    "content_hash": ("sc:Text", "Equal for exact duplicates."),
    "text": ("sc:Text", "What a classifier is asked about."),
    "image": ("sc:ImageObject", "An image that belongs to the text, or stands alone."),
    "language": ("sc:Text", "BCP 47, by what made the row."),
    "label_name": ("sc:Text", "The truth under the policy: benign or a category."),
    "label": ("sc:Integer", "The number of `label_name` in the policy's list of labels."),
    "clause": ("sc:Text", "The clause that the row violates or comes near."),
    "severity": ("sc:Integer", "1 (mild) to 4 (worst)."),
    "policy": ("sc:Text", "Name of the policy."),
    "policy_version": ("sc:Text", "Version of the policy that the label stands under."),
    "pair_id": ("sc:Text", "Joins a violating row with its benign look-alikes."),
    "origin": ("sc:Text", "real or synthetic."),
    "parent_ids": ("sc:Text", "Ids of the rows that this one was made from."),
    "root_ids": ("sc:Text", "Ids of the real rows at the beginning of its lineage."),
    "round": ("sc:Integer", "The round of self-play that made it."),
    "group": ("sc:Text", "Lineage and near-duplicate group."),
    "split": ("sc:Text", "No lineage and no group stands in two splits."),
}
_LISTS = ("parent_ids", "root_ids")


def metadata(found: Manifest) -> bytes:
    files = {path: shard.sha256 for path, shard in sorted(found.shards.items())}
    body = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": found.name,
        "description": (
            f"Rows for training and testing content-moderation classifiers under the policy {found.policy}, version "
            f"{found.policy_version}. Rows of origin `synthetic` were made by a program. Rows labelled other than `benign` "
            "break the policy."
        ),
        "license": "other",
        "version": f"{max(found.version, 1)}.0.0",
        "distribution": [*(_file(path, sha) for path, sha in files.items()), *(_set(split) for split in found.splits)],
        "recordSet": [_records(split) for split in found.splits],
    }
    return (json.dumps(body, ensure_ascii=False, indent=1) + "\n").encode()


def _file(path: str, sha: str) -> dict[str, Any]:
    kind = {"@type": "cr:FileObject", "@id": path, "name": path, "contentUrl": path}
    return {**kind, "encodingFormat": "application/x-parquet", "sha256": sha}


def _set(split: str) -> dict[str, Any]:
    """The shards of a split, in the folder that the metadata stand in."""
    return {
        "@type": "cr:FileSet", "@id": f"shards-{split}", "name": f"shards-{split}",
        "encodingFormat": "application/x-parquet", "includes": f"*data/{split}-*.parquet",
    }  # fmt: skip


def _records(split: str) -> dict[str, Any]:
    fields = []
    for name, (kind, about) in _FIELDS.items():
        source: dict[str, Any] = {"fileSet": {"@id": f"shards-{split}"}, "extract": {"column": name}}
        if name == "image":
            source["transform"] = {"jsonPath": "bytes"}
        one = {"@type": "cr:Field", "@id": f"{split}/{name}", "name": f"{split}/{name}", "description": about}
        array = {"isArray": True, "arrayShape": "-1"} if name in _LISTS else {}
        fields.append({**one, "dataType": kind, **array, "source": source})
    return {"@type": "cr:RecordSet", "@id": split, "name": split, "key": {"@id": f"{split}/id"}, "field": fields}
