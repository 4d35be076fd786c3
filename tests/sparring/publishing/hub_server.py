"""A small Hugging Face hub on loopback: what the client needs to create, look at, commit to, tag and download a dataset.

Files live in memory, commit by commit. Faults are put in by the tests: `answers["commit"] = [412, "lost"]` makes the next
request of that kind fail with 412 and the one after succeed without an answer. A fault is a status, a (status, headers), the
seconds to wait, "reset" (the connection breaks in the middle of a body), "lost" (done, but the answer never comes), or None
for no fault; the last one of a list that ends in `...` holds for ever. `meanwhile` runs before a commit is tried.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml
from aiohttp import web

GITATTRIBUTES = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"


class Commit(NamedTuple):
    oid: str
    files: dict[str, bytes]
    title: str


class Repo:
    def __init__(self, *, private: bool):
        self.private, self.gated = private, False
        self.commits: dict[str, Commit] = {}
        self.branches: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.add("main", {".gitattributes": GITATTRIBUTES}, "initial commit")

    def add(self, branch: str, files: dict[str, bytes], message: str) -> Commit:
        oid = hashlib.sha1(f"{len(self.commits)} {message} {sorted(files)}".encode()).hexdigest()
        self.commits[oid] = Commit(oid, files, message)
        self.branches[branch] = oid
        return self.commits[oid]

    def at(self, revision: str) -> Commit | None:
        return self.commits.get(self.branches.get(revision) or self.tags.get(revision) or revision)

    @property
    def files(self) -> dict[str, bytes]:
        """At the head of main."""
        return self.commits[self.branches["main"]].files


class Hub:
    def __init__(self) -> None:
        self.url = ""
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}  # LFS, by sha256
        self.requests: list[tuple[str, Any]] = []  # (kind, body)
        self.answers: dict[str, list[Any]] = {}
        self.meanwhile: Callable[[Repo], None] = lambda repo: None
        self.sent = 0  # bytes of files that were downloaded

    @web.middleware
    async def faults(self, request: web.Request, handler: Any) -> web.StreamResponse:
        kind = request.match_info.handler.__name__
        if kind == "commit":
            self.meanwhile(self.repo(request))
        planned = self.answers.get(kind) or []
        fault = planned[0] if planned else None
        if planned and planned[1:] != [...]:
            planned.pop(0)
        if fault == "reset" and kind == "upload":
            await request.content.read(1)
            self.requests.append((kind, None))
            return self.cut(request)
        body = await request.read()
        json_body = body and not body.startswith(b"PAR1") and kind not in ("commit", "upload", "paths")
        self.requests.append((kind, lines(body) if kind == "commit" else json.loads(body) if json_body else None))
        if isinstance(fault, float):
            await asyncio.sleep(fault)
        elif isinstance(fault, int | tuple):
            status, headers = fault if isinstance(fault, tuple) else (fault, {})
            # It tells a secret.
            return self.error(status, f"no luck\nfor {request.headers.get('authorization')}", headers=headers)
        answer = await handler(request)
        if fault == "lost":
            return self.cut(request)
        if fault == "reset":
            half = web.StreamResponse(headers={**answer.headers, "Content-Length": str(len(answer.body))})
            await half.prepare(request)
            await half.write(answer.body[: len(answer.body) // 2])
            return self.cut(request)
        return answer

    @staticmethod
    def cut(request: web.Request) -> web.Response:
        assert request.transport
        request.transport.abort()
        return web.Response()

    @staticmethod
    def error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
        return web.json_response({"error": message}, status=status, headers=headers)

    def repo(self, request: web.Request) -> Repo:
        name = "{owner}/{name}".format(**request.match_info)
        if name not in self.repos or not request.headers.get("authorization"):
            raise web.HTTPNotFound(headers={"X-Error-Code": "RepoNotFound"})
        return self.repos[name]

    def at(self, request: web.Request) -> Commit:
        commit = self.repo(request).at(request.match_info.get("revision", "main"))
        if not commit:
            raise web.HTTPNotFound(headers={"X-Error-Code": "RevisionNotFound"})
        return commit

    async def create(self, request: web.Request) -> web.Response:
        body = await request.json()
        name = f"{body['organization'] or 'me'}/{body['name']}"
        there = name in self.repos
        if not there:
            self.repos[name] = Repo(private=body.get("visibility") == "private")
        return web.json_response({"url": f"{self.url}/datasets/{name}"}, status=409 if there else 200)

    async def info(self, request: web.Request) -> web.Response:
        repo, commit = self.repo(request), self.at(request)
        card = commit.files.get("README.md", b"").decode().split("---\n")
        tags = yaml.safe_load(card[1]).get("tags", []) if len(card) > 2 else []
        name = "{owner}/{name}".format(**request.match_info)
        about = {"id": name, "sha": commit.oid, "private": repo.private, "gated": repo.gated, "tags": tags}
        return web.json_response(about | {"siblings": [entry(path, data) for path, data in commit.files.items()]})

    async def settings(self, request: web.Request) -> web.Response:
        body, repo = await request.json(), self.repo(request)
        repo.gated = body.get("gated", repo.gated)
        repo.private = body.get("visibility", "private" if repo.private else "public") == "private"
        return web.json_response({})

    async def branch(self, request: web.Request) -> web.Response:
        branches, name = self.repo(request).branches, request.match_info["revision"]
        if name in branches:
            return self.error(409, "it exists")
        branches[name] = branches["main"]
        return web.json_response({})

    async def tag(self, request: web.Request) -> web.Response:
        tags, name = self.repo(request).tags, (await request.json())["tag"]
        if name in tags:
            return self.error(409, "it exists")
        tags[name] = self.at(request).oid
        return web.json_response({})

    async def refs(self, request: web.Request) -> web.Response:
        repo = self.repo(request)
        named = {
            kind: [{"name": name, "ref": f"refs/{place}/{name}", "targetCommit": oid} for name, oid in known.items()]
            for kind, place, known in (("branches", "heads", repo.branches), ("tags", "tags", repo.tags))
        }
        return web.json_response({**named, "converts": []})

    async def tree(self, request: web.Request) -> web.Response:
        folder, files = request.match_info.get("path", ""), self.at(request).files
        folders = {str(parent) for path in files for parent in pathlib.PurePosixPath(path).parents} - {"."}
        if folder and folder not in folders:
            raise web.HTTPNotFound(headers={"X-Error-Code": "EntryNotFound"})
        every = [leaf(path, files) for path in (*sorted(folders), *files)]
        deep = request.query.get("recursive") in ("true", "1", "True")
        inside = [e for e in every if e["path"].startswith(f"{folder}/" if folder else "")]
        return web.json_response([e for e in inside if deep or str(pathlib.PurePosixPath(e["path"]).parent) == (folder or ".")])

    async def paths(self, request: web.Request) -> web.Response:
        asked = (await request.post()).getall("paths")
        files = self.at(request).files
        folders = {str(parent) for path in files for parent in pathlib.PurePosixPath(path).parents}
        return web.json_response([leaf(path, files) for path in asked if path in files or path in folders])

    async def validate(self, request: web.Request) -> web.Response:
        return web.json_response({"errors": [], "warnings": []})

    async def preupload(self, request: web.Request) -> web.Response:
        body = await request.json()
        files, answer = self.at(request).files, []
        for file in body["files"]:
            path, lfs = file["path"], file["path"].endswith(".parquet")
            oid = (sha256 if lfs else git_oid)(files[path]) if path in files else None
            mode = "lfs" if lfs else "regular"
            answer.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return web.json_response({"files": answer})

    async def batch(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.repo(request)
        for wanted in body["objects"]:
            if wanted["oid"] not in self.objects:
                wanted["actions"] = {do: {"href": f"{self.url}/lfs/{do}/{wanted['oid']}"} for do in ("upload", "verify")}
        return web.json_response({"transfer": "basic", "objects": body["objects"]})

    async def upload(self, request: web.Request) -> web.Response:
        data = await request.read()
        assert sha256(data) == request.match_info["oid"]
        self.objects[sha256(data)] = data
        return web.Response()

    async def verify(self, request: web.Request) -> web.Response:
        body = await request.json()
        return web.Response(status=200 if len(self.objects.get(body["oid"], b"")) == body["size"] else 404)

    async def commit(self, request: web.Request) -> web.Response:
        body = lines(await request.read())
        repo, branch = self.repo(request), request.match_info["revision"]
        header = body[0]["value"]
        if header.get("parentCommit", repo.branches[branch]) != repo.branches[branch]:
            return self.error(412, "A commit has happened since. Please refresh and try again.")
        files = dict(self.at(request).files)
        for kind, value in ((line["key"], line["value"]) for line in body[1:]):
            if kind == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif kind == "lfsFile":
                files[value["path"]] = self.objects[value["oid"]]
            else:
                del files[value["path"]]
        made = repo.add(branch, files, header["summary"])
        url = "{}/datasets/{owner}/{name}/commit/{}".format(self.url, made.oid, **request.match_info)
        return web.json_response({"commitUrl": url, "commitOid": made.oid})

    async def download(self, request: web.Request) -> web.Response:
        commit, path = self.at(request), request.match_info["path"]
        if path not in commit.files:
            raise web.HTTPNotFound(headers={"X-Error-Code": "EntryNotFound"})
        data = commit.files[path]
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{git_oid(data)}"', "Accept-Ranges": "bytes"}
        wanted, status = request.http_range, 200
        if wanted.start is not None:
            start, stop, _ = wanted.indices(len(data))
            headers["Content-Range"], status = f"bytes {start}-{stop - 1}/{len(data)}", 206
            data = data[start:stop]
        self.sent += len(data) if request.method == "GET" else 0
        return web.Response(body=data, headers=headers, status=status)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30, middlewares=[self.faults])
        api, repo = "/api/datasets/{owner}/{name}", "/datasets/{owner}/{name}"
        routes = [
            ("POST", "/api/repos/create", self.create), ("POST", "/api/validate-yaml", self.validate), ("GET", api, self.info),
            ("GET", api + "/revision/{revision}", self.info), ("PUT", api + "/settings", self.settings),
            ("POST", api + "/branch/{revision}", self.branch), ("POST", api + "/tag/{revision}", self.tag),
            ("GET", api + "/refs", self.refs), ("GET", api + "/tree/{revision}", self.tree),
            ("GET", api + "/tree/{revision}/{path:.+}", self.tree), ("POST", api + "/paths-info/{revision}", self.paths),
            ("POST", api + "/preupload/{revision}", self.preupload),
            ("POST", api + "/commit/{revision}", self.commit), ("POST", repo + ".git/info/lfs/objects/batch", self.batch),
            ("PUT", "/lfs/upload/{oid}", self.upload), ("POST", "/lfs/verify/{oid}", self.verify),
            ("GET", repo + "/resolve/{revision}/{path:.+}", self.download),
        ]  # fmt: skip
        for method, path, handler in routes:
            if method == "GET":
                app.router.add_get(path, handler)  # HEAD as well
            else:
                app.router.add_route(method, path, handler)
        return app


def lines(body: bytes) -> list[Any]:
    return [json.loads(line) for line in body.splitlines()]


def entry(path: str, data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"rfilename": path, "size": len(data), "blobId": git_oid(data)}
    if path.endswith(".parquet"):
        found["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 130}
    return found


def leaf(path: str, files: dict[str, bytes]) -> dict[str, Any]:
    """A file or folder as the tree shows it."""
    if path not in files:
        return {"type": "directory", "path": path, "oid": git_oid(path.encode())}
    found = entry(path, files[path])
    found |= {"lfs": {**found["lfs"], "oid": found["lfs"]["sha256"]}} if "lfs" in found else {}
    return found | {"type": "file", "path": path, "oid": found["blobId"]}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
