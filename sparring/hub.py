"""A dataset folder on the Hugging Face hub: one commit, private unless told otherwise, never forced.

What came before is looked at first. A commit names the head that was looked at, so the hub refuses it when somebody else
was faster; then the new head is looked at. A push of what is already there makes no commit, so a lost answer costs nothing.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from . import __version__
from .errors import DataError, SparringError, UserError
from .record import SCHEMA, SPLITS

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import DatasetInfo

RETRIES = 3  # on a head that moved
WAIT = 0.2  # seconds before the first of them, then doubled
TIMEOUT = 120.0  # seconds without a byte; the client itself waits for ever
TAG = "sparring"  # in the card of every dataset that Sparring wrote
_SHARD = re.compile(rf"data/({'|'.join(SPLITS)})-[^/]+\.parquet")
_HEADER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pushed:
    """Where the dataset stands now; `files` are its paths in the repository."""

    repo_id: str
    url: str
    commit: str
    files: tuple[str, ...]


def push(
    folder: Path, repo_id: str, *,
    private: bool = True, revision: str | None = None, message: str | None = None, endpoint: str | None = None,
) -> Pushed:  # fmt: skip
    """Makes the branch `revision` (main) hold the dataset at `folder`: the card and its shards, no shard of an earlier push.

    A public dataset is gated: people ask for access. Raises `DataError` when Sparring did not write the folder, `UserError`
    without a login, for a public repository where private was asked, and for one that holds somebody else's dataset;
    `SparringError` when the hub does not do its part.
    """
    files = _checked(folder)
    rows = sum(pq.read_metadata(file).num_rows for path, file in files.items() if path != "README.md")
    token = _token()
    with _in_one_line(token), _impatient():
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
        from huggingface_hub.errors import HfHubHTTPError

        api = HfApi(endpoint=endpoint, token=token, library_name="sparring", library_version=__version__)
        repo = api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
        for attempt in range(RETRIES + 1):
            head = _look(api, repo.repo_id, private=private, revision=revision)
            stale = _shards(api, repo.repo_id, head) - files.keys()
            changes: list[Any] = [CommitOperationAdd(path, file) for path, file in files.items()]
            changes += [CommitOperationDelete(path) for path in sorted(stale)]
            try:
                made = api.create_commit(
                    repo.repo_id, changes,
                    commit_message=message or f"{rows} rows by Sparring",
                    repo_type="dataset", revision=revision, parent_commit=head.sha,
                )  # fmt: skip
                return Pushed(repo.repo_id, repo.url, made.oid, tuple(files))
            except HfHubHTTPError as error:
                if error.response.status_code not in (409, 412):
                    raise
            time.sleep(WAIT * 2**attempt)
    raise SparringError(f"{repo_id}: others commit to it faster than this push can, {RETRIES + 1} tries. Run the command again")


def _look(api: HfApi, repo_id: str, *, private: bool, revision: str | None) -> DatasetInfo:
    """The head to build on, once its visibility was found to be what was asked."""
    info = api.dataset_info(repo_id)
    if private and not info.private:
        raise UserError(
            f"{repo_id}: expected a private repository, it is public; nothing was pushed. "
            "Fix: another name, make it private in its settings on the hub, or ask for a public push"
        )
    if not info.private and not info.gated:
        api.update_repo_settings(repo_id, repo_type="dataset", gated="manual")
    if revision:
        api.create_branch(repo_id, branch=revision, repo_type="dataset", exist_ok=True)
        info = api.dataset_info(repo_id, revision=revision)
    return info


def _shards(api: HfApi, repo_id: str, head: DatasetInfo) -> set[str]:
    """Paths of the shards at `head`; they may be replaced only if Sparring wrote them."""
    found = {p for p in api.list_repo_files(repo_id, repo_type="dataset", revision=head.sha) if _SHARD.fullmatch(p)}
    if found and TAG not in (head.tags or ()):
        raise UserError(
            f"{repo_id}: expected an empty repository or a dataset by Sparring (tag {TAG!r} in its card), found another one; "
            "nothing was pushed. Fix: another name"
        )
    return found


def _checked(folder: Path) -> dict[str, Path]:
    """Path in the repository -> file, of a dataset that `publish.write` wrote."""

    def bad(came: str) -> DataError:
        return DataError(
            f"{folder}: expected a dataset folder by Sparring (README.md, data/SPLIT-*.parquet); {came}. "
            "Fix: give a folder such as runs/NAME/round-03/dataset"
        )

    card = folder / "README.md"
    if not card.is_file():
        raise bad("it holds no README.md")
    if TAG not in _tags(card.read_text(encoding="utf-8", errors="replace")):
        raise bad(f"the header of its README.md lacks the tag {TAG!r}")
    shards = {f"data/{file.name}": file for file in sorted(folder.glob("data/*.parquet"))}
    if not shards:
        raise bad("it holds no shard")
    for path, file in shards.items():
        try:
            schema = pq.read_schema(file)
        except (pa.ArrowInvalid, OSError) as error:
            raise bad(f"{path} is no readable parquet file ({_line(error)})") from None
        if not _SHARD.fullmatch(path) or not schema.equals(SCHEMA):
            raise bad(f"{path} does not hold Sparring's records")
    return {"README.md": card, **shards}


def _tags(card: str) -> list[str]:
    header = _HEADER.match(card)
    try:
        found = yaml.safe_load(header[1]) if header else None
    except yaml.YAMLError:
        return []
    return list(found.get("tags") or ()) if isinstance(found, dict) else []


def _token() -> str:
    from huggingface_hub import get_token

    token = get_token()
    if not token:
        raise UserError("publishing needs a login at the Hugging Face hub, there is none. Fix: `hf auth login`")
    return token


@contextlib.contextmanager
def _in_one_line(token: str) -> Iterator[None]:
    """The client's errors as ours: one line, without the token."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

    try:
        yield
    except HFValidationError as error:
        raise UserError(_line(error, token)) from None
    except (HTTPError, OSError, RuntimeError, ValueError) as caught:
        cause = (isinstance(caught, RuntimeError) and caught.__cause__) or caught  # the client wraps what an upload raised
        if not isinstance(cause, HfHubHTTPError):
            said = _line(f"{type(cause).__name__}: {cause}", token)
            raise SparringError(f"the push did not get through: {said}. Run the same command again") from None
        status, asked = cause.response.status_code, cause.response.request
        said = _line(f"{asked.method} {asked.url.copy_with(query=None)}: {status} {cause.server_message or ''}", token)
        if status in (401, 403):
            raise UserError(f"the hub refused: {said}. Fix: `hf auth login` with a token that may write there") from None
        raise SparringError(f"the hub did not do it: {said}. Run the same command again") from None


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """The client's one session with a time-out on each step; as it was afterwards."""
    from huggingface_hub import get_session

    session = get_session()
    before, session.timeout = session.timeout, TIMEOUT
    try:
        yield
    finally:
        session.timeout = before


def _line(said: object, token: str | None = None) -> str:
    line = " ".join(str(said).split())
    return (line.replace(token, "***") if token else line)[:300].rstrip(" .")
