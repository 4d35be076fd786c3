"""A dataset repository on the Hugging Face hub: looked at, then changed in one commit, never forced.

A commit names the head that was looked at, so the hub refuses it when somebody else was faster; then the new head is looked
at. What may pass (429, 5xx, a lost connection) is tried again from the look onwards: where the commit was made and only its
answer lost, the next look finds nothing left to do.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from .. import __version__
from ..errors import DataError, SparringError, UserError
from ..http import retry_after
from ..record import SPLITS
from . import manifest
from .manifest import SIDES, Manifest, Shard, Side
from .ranges import Ranges
from .write import documents

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Made = TypeVar("Made")

TRIES = 6
WAIT = 1.0  # seconds before the second try, then doubled
LONGEST = 600.0  # seconds that a server may ask for
TIMEOUT = 120.0  # seconds without a byte; the client itself waits for ever
_MAY_PASS = (408, 429, 500, 502, 503, 504)
_MOVED = (409, 412)


@dataclass(frozen=True, slots=True)
class Head:
    """A repository at one commit. `files`: path -> sha256 of what is kept apart (LFS), else the git object's id."""

    api: HfApi
    repo_id: str
    sha: str
    private: bool
    files: Mapping[str, str]
    manifest: Manifest | None

    @property
    def next_version(self) -> int:
        return (self.manifest.version if self.manifest else 0) + 1

    def fetch(self, path: str, into: Path) -> Path:
        """The whole file."""
        found = self.api.hf_hub_download(self.repo_id, path, repo_type="dataset", revision=self.sha, local_dir=into / self.sha)
        return Path(found)

    def columns(self, path: str, names: list[str]) -> pa.Table:
        """Some columns of a parquet file; no other is transferred."""
        from huggingface_hub import get_session, hf_hub_url
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

        url = hf_hub_url(self.repo_id, path, repo_type="dataset", revision=self.sha, endpoint=self.api.endpoint)
        headers = build_hf_headers(token=self.api.token, library_name="sparring", library_version=__version__)

        def fetch(start: int, stop: int) -> bytes:
            asked = {**headers, "Range": f"bytes={start}-{stop - 1}"}
            answer = get_session().get(url, headers=asked, timeout=TIMEOUT)
            hf_raise_for_status(answer)
            found: bytes = answer.content if answer.status_code == 206 else answer.content[start:stop]
            if len(found) != stop - start:
                raise OSError(f"{path}: expected {stop - start} bytes, got {len(found)}")
            return found

        known: dict[str, Shard | Side] = {**self.manifest.shards, **self.manifest.sides} if self.manifest else {}
        with pa.PythonFile(Ranges(fetch, known[path].bytes), mode="r") as stream:
            return pq.read_table(stream, columns=names, use_threads=False)

    def table(self, name: str, into: Path) -> pa.Table | None:
        """A side table, all files of it; None where there is none."""
        paths = self.paths(name)
        return pa.concat_tables(pq.read_table(self.fetch(path, into)) for path in paths) if paths else None

    def paths(self, name: str) -> list[str]:
        """The files of a side table."""
        return sorted(path for path, side in (self.manifest.sides if self.manifest else {}).items() if side.table == name)


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit is to make of a head: its manifest (of any version) and the files that are new; what the manifest does not
    name goes."""

    manifest: Manifest
    files: Mapping[str, Path]
    message: str
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """Where a repository stands. `files` are the dataset's paths in it; `counts` says what this change did."""

    repo_id: str
    url: str
    commit: str
    version: int
    tags: tuple[str, ...]
    files: tuple[str, ...]
    counts: Mapping[str, int]
    others: Mapping[str, str]  # the other tags and branches -> commit


class _Again(Exception):
    """Look again: the head moved, or what failed may pass. `wait`: seconds that the hub asks for."""

    def __init__(self, cause: Exception, *, moved: bool = False, wait: float = 0.0):
        self.cause, self.moved, self.wait = cause, moved, wait


def edit(
    repo_id: str, build: Callable[[Head], Change], *,
    create: bool = True, private: bool | None = True, revision: str | None = None, endpoint: str | None = None,
) -> Done:  # fmt: skip
    """Makes one commit out of what `build` says of the head, and the tags of its version; `build` may be called again.

    With `private=False` the repository is public in the end, and gated before; None leaves it as it is. Raises `UserError`
    without a login, for a
    public repository where private was asked, and for one that holds somebody else's dataset; `SparringError` when the hub
    does not do its part.
    """
    token = login()
    with in_one_line(token), client(endpoint, token) as api:
        return patiently(lambda: _once(api, repo_id, build, create=create, private=private, revision=revision))


def patiently(work: Callable[[], Made]) -> Made:
    """`work`, from its beginning again where the head moved or what failed may pass."""
    for attempt in range(TRIES):
        try:
            with _patience():
                return work()
        except _Again as again:
            if attempt == TRIES - 1 and again.moved:
                said = f"others commit to it faster than this push can, {TRIES} tries"
                raise SparringError(f"the hub did not do it: {said}. Run the same command again") from None
            if attempt == TRIES - 1 or again.wait > LONGEST:
                raise again.cause from None
            time.sleep(max(WAIT * 2**attempt, again.wait))
    raise AssertionError("unreachable")


def _once(
    api: HfApi, repo_id: str, build: Callable[[Head], Change], *, create: bool, private: bool | None, revision: str | None
) -> Done:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    if create:
        repo_id = api.create_repo(repo_id, repo_type="dataset", private=True, exist_ok=True).repo_id
    head = _look(api, repo_id, private=private, revision=revision)
    change = build(head)
    there = head.manifest
    same = there is not None and change.manifest.model_copy(update={"version": there.version}) == there
    found = change.manifest.model_copy(update={"version": head.next_version - same})
    wanted = {path: shard.sha256 for path, shard in found.shards.items()}
    wanted |= {path: side.sha256 for path, side in found.sides.items()}
    texts = documents(found)
    add: list[Any] = [
        CommitOperationAdd(path, change.files[path]) for path, sha in wanted.items() if head.files.get(path) != sha
    ]
    for op in add:
        if op.upload_info.sha256.hex() != wanted[op.path_in_repo]:
            raise DataError(
                f"{op.path_in_repo}: expected the file that the manifest tells of, found another. Fix: write it again"
            )
    add += [CommitOperationAdd(path, text) for path, text in texts.items() if head.files.get(path) != git_oid(text)]
    gone = [CommitOperationDelete(path) for path in sorted(_ours(head.files) - wanted.keys())]
    commit = head.sha
    if add or gone:
        made = api.create_commit(
            repo_id, [*add, *gone], commit_message=change.message, repo_type="dataset", revision=revision,
            parent_commit=head.sha,
        )  # fmt: skip
        commit = made.oid
    if private is False and head.private:  # only now: nobody saw rows before the gate stood
        api.update_repo_settings(repo_id, repo_type="dataset", private=False)
    tags, others = _tags(api, repo_id, found, commit, revision)
    url = f"{api.endpoint}/datasets/{repo_id}"
    return Done(repo_id, url, commit, found.version, tags, (*texts, *wanted), change.counts if add or gone else {}, others)


def _tags(
    api: HfApi, repo_id: str, found: Manifest, commit: str, revision: str | None
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Tags the version, where that is not done yet; and every other name in the repository -> its commit."""
    policy = "".join(c if c.isalnum() or c in "._-" else "-" for c in found.policy_version)
    before = f"{revision}-" if revision and revision != "main" else ""
    mine = (f"{before}v{found.version}", f"{before}policy-{policy}-v{found.version}")
    refs = api.list_repo_refs(repo_id, repo_type="dataset")
    known = {ref.name: ref.target_commit for ref in refs.tags}
    for name in mine:
        if name not in known:
            api.create_tag(repo_id, tag=name, revision=commit, repo_type="dataset", exist_ok=True)
    branches = {ref.name: ref.target_commit for ref in refs.branches if ref.name != (revision or "main")}
    return mine, {name: sha for name, sha in (known | branches).items() if name not in mine}


def _look(api: HfApi, repo_id: str, *, private: bool | None, revision: str | None) -> Head:
    """The head to build on, once its visibility was found to be what was asked."""
    info = api.dataset_info(repo_id, timeout=TIMEOUT)
    if private and not info.private:
        raise UserError(
            f"{repo_id}: expected a private repository, it is public; nothing was pushed. "
            "Fix: another name, make it private in its settings on the hub, or ask for a public push"
        )
    if private is False and not info.gated:
        api.update_repo_settings(repo_id, repo_type="dataset", gated="manual")
    if revision:
        api.create_branch(repo_id, branch=revision, repo_type="dataset", exist_ok=True)
    head = at(api, repo_id, revision)
    if head.manifest is None and any(p.startswith("data/") and p.endswith(".parquet") for p in head.files):
        raise UserError(
            f"{repo_id}: expected an empty repository or a dataset by Sparring ({manifest.NAME}), found another "
            "one; nothing was pushed. Fix: another name"
        )
    return head


def at(api: HfApi, repo_id: str, revision: str | None = None) -> Head:
    """A repository at a branch, tag or commit; its manifest is None where Sparring did not write its card."""
    info = api.dataset_info(repo_id, revision=revision, files_metadata=True, timeout=TIMEOUT)
    files = {f.rfilename: (f.lfs.sha256 if f.lfs else f.blob_id) or "" for f in info.siblings or ()}
    head = Head(api, info.id or repo_id, info.sha or "", bool(info.private), files, None)
    if manifest.NAME not in files:
        return head
    with tempfile.TemporaryDirectory() as aside:
        found = manifest.parse(head.fetch(manifest.NAME, Path(aside)).read_bytes(), f"{repo_id}/{manifest.NAME}")
    return Head(api, head.repo_id, head.sha, head.private, files, found)


def _ours(files: Mapping[str, str]) -> set[str]:
    """Paths that a reader of the dataset would take for rows, or for a side table."""
    read = tuple([*(f"data/{split}-" for split in SPLITS), *(f"{side}/" for side in SIDES)])
    return {path for path in files if path.startswith(read) and path.endswith(".parquet")}


def login() -> str:
    """The token of the hub's own login; nothing of ours keeps it."""
    from huggingface_hub import get_token

    token = get_token()
    if not token:
        raise UserError("publishing needs a login at the Hugging Face hub, there is none. Fix: `hf auth login`")
    return token


@contextlib.contextmanager
def client(endpoint: str | None, token: str) -> Iterator[HfApi]:
    """The client, with a time-out on each step."""
    from huggingface_hub import HfApi, get_session

    session = get_session()
    before, session.timeout = session.timeout, TIMEOUT
    try:
        yield HfApi(endpoint=endpoint, token=token, library_name="sparring", library_version=__version__)
    finally:
        session.timeout = before


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """What may pass by itself, as `_Again`."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    try:
        yield
    except (HTTPError, OSError, RuntimeError, ValueError) as caught:
        cause = _behind(caught)
        if isinstance(cause, HfHubHTTPError):
            status = cause.response.status_code
            if status in _MOVED:
                raise _Again(caught, moved=True) from None
            if status in _MAY_PASS:
                asked = retry_after(cause.response.headers.get("Retry-After"), 0.0)
                raise _Again(caught, wait=asked) from None
        elif isinstance(cause, HTTPError):
            raise _Again(caught) from None
        raise


@contextlib.contextmanager
def in_one_line(token: str) -> Iterator[None]:
    """The client's errors as ours: one line, without the token."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

    try:
        yield
    except HFValidationError as error:
        raise UserError(line(error, token)) from None
    except (HTTPError, OSError, RuntimeError, ValueError) as caught:
        cause = _behind(caught)
        if not isinstance(cause, HfHubHTTPError):
            said = line(f"{type(cause).__name__}: {cause}", token)
            raise SparringError(f"the push did not get through: {said}. Run the same command again") from None
        status, asked = cause.response.status_code, cause.response.request
        said = line(f"{asked.method} {asked.url.copy_with(query=None)}: {status} {cause.server_message or ''}", token)
        if status in (401, 403):
            raise UserError(f"the hub refused: {said}. Fix: `hf auth login` with a token that may write there") from None
        raise SparringError(f"the hub did not do it: {said}. Run the same command again") from None


def _behind(caught: Exception) -> BaseException:
    """What went wrong on the line, which the client wraps in errors of its own; `caught` itself where nothing did."""
    from huggingface_hub.errors import HTTPError

    cause: BaseException | None = caught
    while cause is not None and not isinstance(cause, HTTPError):
        cause = cause.__cause__
    return cause or caught


def line(said: object, token: str | None = None) -> str:
    one = " ".join(str(said).split())
    return (one.replace(token, "***") if token else one)[:300].rstrip(" .")


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
