"""A small Hugging Face hub on loopback: what the client needs to create, look at, commit to and download a dataset.

Files live in memory, commit by commit. Faults are put in by the tests: `answers["commit"] = [412]` makes the next request
of that kind fail with 412 (the last one of a list that ends in `...` for ever); `meanwhile` runs before a commit is tried.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml
from aiohttp import web

GITATTRIBUTES = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"


class Commit(NamedTuple):
    oid: str
    files: dict[str, bytes]


class Repo:
    def __init__(self, *, private: bool):
        self.private, self.gated = private, False
        self.commits: dict[str, Commit] = {}
        self.branches: dict[str, str] = {}
        self.add("main", {".gitattributes": GITATTRIBUTES}, "initial commit")

    def add(self, branch: str, files: dict[str, bytes], message: str) -> Commit:
        oid = hashlib.sha1(f"{len(self.commits)} {message} {sorted(files)}".encode()).hexdigest()
        self.commits[oid] = Commit(oid, files)
        self.branches[branch] = oid
        return self.commits[oid]

    def at(self, revision: str) -> Commit | None:
        return self.commits.get(self.branches.get(revision, revision))

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
        self.lose_answer = False  # of the next commit, which is made

    def fault(self, request: web.Request, kind: str, body: Any = None) -> web.Response | None:
        self.requests.append((kind, body))
        planned = self.answers.get(kind) or []
        status = planned[0] if planned else None
        if planned and planned[1:] != [...]:
            planned.pop(0)
        return status and self.error(status, f"no luck\nfor {request.headers.get('authorization')}")  # it tells a secret

    @staticmethod
    def error(status: int, message: str, code: str = "") -> web.Response:
        return web.json_response({"error": message}, status=status, headers={"X-Error-Code": code} if code else None)

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
        if fault := self.fault(request, "create", body):
            return fault
        name = f"{body['organization'] or 'me'}/{body['name']}"
        there = name in self.repos
        if not there:
            self.repos[name] = Repo(private=body.get("visibility") == "private")
        return web.json_response({"url": f"{self.url}/datasets/{name}"}, status=409 if there else 200)

    async def info(self, request: web.Request) -> web.Response:
        if fault := self.fault(request, "info"):
            return fault
        repo, commit = self.repo(request), self.at(request)
        card = commit.files.get("README.md", b"").decode().split("---\n")
        tags = yaml.safe_load(card[1]).get("tags", []) if len(card) > 2 else []
        return web.json_response({"id": "x/y", "sha": commit.oid, "private": repo.private, "gated": repo.gated, "tags": tags})

    async def settings(self, request: web.Request) -> web.Response:
        body = await request.json()
        if fault := self.fault(request, "settings", body):
            return fault
        self.repo(request).gated = body["gated"]
        return web.json_response({})

    async def branch(self, request: web.Request) -> web.Response:
        if fault := self.fault(request, "branch"):
            return fault
        branches, name = self.repo(request).branches, request.match_info["revision"]
        if name in branches:
            return self.error(409, "it exists")
        branches[name] = branches["main"]
        return web.json_response({})

    async def tree(self, request: web.Request) -> web.Response:
        if fault := self.fault(request, "tree"):
            return fault
        files = self.at(request).files.items()
        return web.json_response(
            [{"type": "file", "path": path, "size": len(data), "oid": git_oid(data)} for path, data in files]
        )

    async def validate(self, request: web.Request) -> web.Response:
        return web.json_response({"errors": [], "warnings": []})

    async def preupload(self, request: web.Request) -> web.Response:
        body = await request.json()
        if fault := self.fault(request, "preupload", body):
            return fault
        files, answer = self.at(request).files, []
        for file in body["files"]:
            path, lfs = file["path"], file["path"].endswith(".parquet")
            oid = (sha256 if lfs else git_oid)(files[path]) if path in files else None
            mode = "lfs" if lfs else "regular"
            answer.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return web.json_response({"files": answer})

    async def batch(self, request: web.Request) -> web.Response:
        body = await request.json()
        if fault := self.fault(request, "batch", body):
            return fault
        self.repo(request)
        for wanted in body["objects"]:
            if wanted["oid"] not in self.objects:
                wanted["actions"] = {do: {"href": f"{self.url}/lfs/{do}/{wanted['oid']}"} for do in ("upload", "verify")}
        return web.json_response({"transfer": "basic", "objects": body["objects"]})

    async def upload(self, request: web.Request) -> web.Response:
        data = await request.read()
        if fault := self.fault(request, "upload"):
            return fault
        assert sha256(data) == request.match_info["oid"]
        self.objects[sha256(data)] = data
        return web.Response()

    async def verify(self, request: web.Request) -> web.Response:
        body = await request.json()
        return web.Response(status=200 if len(self.objects.get(body["oid"], b"")) == body["size"] else 404)

    async def commit(self, request: web.Request) -> web.Response:
        lines = [json.loads(line) for line in (await request.read()).splitlines()]
        repo, branch = self.repo(request), request.match_info["revision"]
        self.meanwhile(repo)
        if fault := self.fault(request, "commit", lines):
            return fault
        header = lines[0]["value"]
        if header.get("parentCommit", repo.branches[branch]) != repo.branches[branch]:
            return self.error(412, "A commit has happened since. Please refresh and try again.")
        files = dict(self.at(request).files)
        for kind, value in ((line["key"], line["value"]) for line in lines[1:]):
            if kind == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif kind == "lfsFile":
                files[value["path"]] = self.objects[value["oid"]]
            else:
                del files[value["path"]]
        made = repo.add(branch, files, header["summary"])
        if self.lose_answer:
            self.lose_answer = False
            assert request.transport
            request.transport.close()
        url = "{}/datasets/{owner}/{name}/commit/{}".format(self.url, made.oid, **request.match_info)
        return web.json_response({"commitUrl": url, "commitOid": made.oid})

    async def download(self, request: web.Request) -> web.Response:
        commit, path = self.at(request), request.match_info["path"]
        if path not in commit.files:
            raise web.HTTPNotFound(headers={"X-Error-Code": "EntryNotFound"})
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{git_oid(commit.files[path])}"'}
        return web.Response(body=commit.files[path], headers=headers)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30)
        api = "/api/datasets/{owner}/{name}"
        app.add_routes(
            [
                web.post("/api/repos/create", self.create),
                web.post("/api/validate-yaml", self.validate),
                web.get(api, self.info),
                web.get(api + "/revision/{revision}", self.info),
                web.put(api + "/settings", self.settings),
                web.post(api + "/branch/{revision}", self.branch),
                web.get(api + "/tree/{revision}", self.tree),
                web.post(api + "/preupload/{revision}", self.preupload),
                web.post(api + "/commit/{revision}", self.commit),
                web.post("/datasets/{owner}/{name}.git/info/lfs/objects/batch", self.batch),
                web.put("/lfs/upload/{oid}", self.upload),
                web.post("/lfs/verify/{oid}", self.verify),
                web.get("/datasets/{owner}/{name}/resolve/{revision}/{path:.+}", self.download),
            ]
        )
        return app


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
