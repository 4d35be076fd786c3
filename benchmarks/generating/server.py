"""A server as OpenAI's, in a process of its own: answers after a fixed time, counts what it is asked, costs little.

python benchmarks/generating/server.py SECONDS    # prints its port
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import pathlib
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any

ASKED: Counter[bytes] = Counter()
WORDS = """call now to claim your prize we could not reach you about the parcel that waits reply with yes for more win cash and
a holiday in spain this week only text stop to end your account is due for an upgrade at no cost from today""".split()


class Answers(asyncio.Protocol):
    def __init__(self, delay: float):
        self.delay, self.buffer = delay, b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
            if head.startswith(b"get /asked"):
                self.answer(json.dumps({"all": ASKED.total(), "distinct": len(ASKED)}).encode())
                continue
            name = hashlib.blake2b(body, digest_size=16).digest()
            ASKED[name] += 1
            said = {"choices": [{"message": {"content": " ".join(WORDS[b % len(WORDS)] for b in name) + f" {name[0]}."}}]}
            said["usage"] = {"completion_tokens": 12, "prompt_tokens": 40}
            asyncio.get_running_loop().call_later(self.delay, self.answer, json.dumps(said).encode())

    def answer(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        if not self.transport.is_closing():
            self.transport.write(head + body)


async def serve(delay: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Answers(delay), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


@contextlib.contextmanager
def running(delay: float) -> Iterator[str]:
    """Its URL, until the block ends."""
    words = [sys.executable, str(pathlib.Path(__file__).resolve()), str(delay)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()


def asked(url: str) -> dict[str, int]:
    """`all` requests that it answered, and how many `distinct` ones."""
    with urllib.request.urlopen(f"{url}/asked") as reply:
        return json.load(reply)


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
