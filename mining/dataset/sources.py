"""Opens anybody's data set: a file, a folder, what `save_to_disk` wrote, a name on the hub, or what is in memory."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sparring import refs
from sparring.errors import DataError

ROWS, BYTES = 1000, 1 << 22  # that are read at once, whichever is less
LOADERS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".json": "json"}
SAVED = ("dataset_dict.json", "state.json")  # what `save_to_disk` leaves in a folder


def opened(source: Any, split: str | None) -> tuple[Any, str]:
    """The `datasets.Dataset` of a split and its name for people. Raises `DataError` for what cannot be read as one."""
    from datasets import Dataset, DatasetDict, load_dataset, load_from_disk

    if isinstance(source, Mapping) and not isinstance(source, DatasetDict):
        with _readable("rows in memory"):
            return Dataset.from_dict(dict(source)), "rows in memory"
    if not isinstance(source, (str, pathlib.Path)):
        loaded, name = source, "data set in memory"
    else:
        name = str(source)
        found = refs.data(name) if name.startswith("hf://") else None
        path = pathlib.Path(found.place if found else source)
        with _readable(name):
            if found and found.remote:
                loaded = load_dataset(found.place, revision=found.revision)
            elif path.is_file():
                loaded = _file(path)
            elif any((path / mark).is_file() for mark in SAVED):
                loaded = load_from_disk(name)
            elif path.exists() or "/" in name or name.isidentifier():
                loaded = load_dataset(name)
            else:
                raise DataError(f"{name}: expected a file, a folder or a data set on the hub; found none")
    if isinstance(loaded, DatasetDict):
        if split is None and len(loaded) > 1 and "train" not in loaded:
            raise DataError(f"{name}: expected a split to be named, there are {', '.join(loaded)}. Fix: --split NAME")
        wanted = split or ("train" if "train" in loaded else next(iter(loaded)))
        if wanted not in loaded:
            raise DataError(f"{name}: expected the split {wanted!r}, there are {', '.join(loaded)}. Fix: --split NAME")
        return loaded[wanted], name
    if split is not None:
        raise DataError(f"{name}: expected splits, to read {split!r} of; it has none. Fix: leave --split out")
    return loaded, name


def batches(data: Any, source: Any, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
    """Columns of a data set that `opened` opened, as they are stored, some rows at a time.

    Of a data set on disk its Arrow files are read: what is read of the memory map that `datasets` holds counts as memory of
    the process for as long as it lives.
    """
    files = _arrow_files(data) if isinstance(source, (str, pathlib.Path)) else []
    for path in files:
        import pyarrow as pa

        with pa.OSFile(path) as stream, pa.ipc.open_stream(stream) as reader:
            for batch in reader:
                some = batch.select(columns)
                step = _within(some.nbytes, some.num_rows)
                for start in range(0, some.num_rows, step):
                    yield some.slice(start, step).to_pydict()
    if not files:
        for part in data.select_columns(list(columns)).with_format("arrow").iter(ROWS):
            yield part.to_pydict()


def _arrow_files(data: Any) -> list[str]:
    """Where the data set's rows stand, all of them and in their order; none where that is not sure."""
    import pyarrow as pa

    files = [file["filename"] for file in data.cache_files] if data._indices is None else []
    rows = 0
    for path in files:
        with pa.memory_map(path) as stream, pa.ipc.open_stream(stream) as reader:
            rows += sum(batch.num_rows for batch in reader)
    return files if rows == len(data) else []


def _file(path: pathlib.Path) -> Any:
    from datasets import load_dataset

    if (kind := LOADERS.get(path.suffix.lower())) is None:
        raise DataError(f"{path}: expected a file that ends in {', '.join(LOADERS)}. Fix: convert it, or give a folder")
    if not path.stat().st_size:
        raise DataError(f"{path}: expected rows, found an empty file")
    # Only an empty cell is no value: "None", "NA" and "null" are words that people write and labels that they give.
    extra = {"sep": _separator(path), "keep_default_na": False, "na_values": [""]} if kind == "csv" else {}
    if kind in ("csv", "parquet"):  # else ten thousand, or as many as the first row group has, which may be all
        extra |= {"chunksize" if kind == "csv" else "batch_size": _rows_at_once(path, kind)}
    return load_dataset(kind, data_files=str(path), **extra)


def _rows_at_once(path: pathlib.Path, kind: str) -> int:
    """Of a csv by the lines of its first megabyte: a cell of several lines counts as several rows."""
    if kind == "parquet":
        import pyarrow.parquet as pq

        about = pq.read_metadata(path)
        size, rows = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups)), about.num_rows
    else:
        with path.open("rb") as stream:
            first = stream.read(1 << 20)
        size, rows = len(first), first.count(b"\n")
    return _within(size, rows)


def _within(size: int, rows: int) -> int:
    """How many rows are read at once where `rows` have `size` bytes."""
    return max(1, min(ROWS, BYTES * max(rows, 1) // max(size, 1)))


def _separator(path: pathlib.Path) -> str:
    """The one that the header has most of."""
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        header = stream.readline()
    return max("\t,;" if path.suffix.lower() == ".tsv" else ",;\t", key=header.count)


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turns what the libraries below raise for bad input into a `DataError`, and keeps them from printing it as well."""
    import pyarrow as pa
    from datasets.exceptions import DatasetsError
    from datasets.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    except (DatasetsError, pa.ArrowException, ValueError, TypeError, FileNotFoundError, ConnectionError) as error:
        raise DataError(f"{name}: {_why(error)}") from None
    finally:
        logging.set_verbosity(verbosity)


def _why(error: BaseException) -> str:
    """From the error that began it: the ones around it only say that there was one."""
    from datasets.exceptions import DatasetNotFoundError

    while error.__cause__ is not None and not isinstance(error, (DatasetNotFoundError, ConnectionError)):
        error = error.__cause__
    said = " ".join(str(error).split())[:300]
    if "corresponds to no data" in said:
        return "expected rows, found none"
    if isinstance(error, UnicodeDecodeError):
        return f"expected text in UTF-8; {said}. Fix: iconv -f LATIN1 -t UTF-8, or save it as UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return f"expected text that is valid Unicode; {said}. Fix: text.encode('utf-8', 'replace').decode('utf-8')"
    if isinstance(error, (FileNotFoundError, ConnectionError)):
        return f"expected a file, a folder or a data set on the hub; {said}"
    return f"expected rows that can be read; {said}. Fix: mend the file, or convert it to parquet"
