"""Requests of httpx (httpcore, hyper-h2) over one connection, one after another or all at once.

httpx_client.py sync|one-by-one|at-once URL COUNT

The first is httpx.Client, the others httpx.AsyncClient. Client writes with Nagle's algorithm, so that each of its
uploads takes 40 ms.

prints a JSON object: how many answers were right, the protocols that answered, and the first faults.
"""
import asyncio
import hashlib
import json
import sys

import httpx

RANDOM = bytes((i * 2654435761 >> 13) & 255 for i in range(70001))
TIMEOUT = httpx.Timeout(60)
LIMITS = httpx.Limits(max_connections=1)
OPTIONS = dict(http1=False, http2=True, verify=False, trust_env=False, timeout=TIMEOUT, limits=LIMITS)


def request(i):
    """The i-th request: method, path, body, and the text that has to come back (None: no matter)."""
    size = 0 if i % 10 == 9 else (i * 7919) % 3000
    if i % 100 == 50:
        size = len(RANDOM)  # beyond the window that a stream has at first
    body = RANDOM[:size]
    match i % 5:
        case 0:
            return "GET", "/hello", None, "hello, world\n"
        case 1:
            return "HEAD", "/hello", None, ""
        case 2:
            return "GET", "/some", None, None
        case _:
            return "POST", "/upload", body, f"HTTP/2.0 {size} {hashlib.sha256(body).hexdigest()}"


class Tally:
    def __init__(self):
        self.right, self.faults, self.protocols = 0, [], set()

    def response(self, i, r, want):
        self.protocols.add(r.http_version)
        if r.status_code == 200 and (want is None and len(r.content) == 65536 or r.text == want):
            self.right += 1
        else:
            self.fault(i, f"status {r.status_code}, {len(r.content)} octets")

    def fault(self, i, what):
        if len(self.faults) < 5:
            self.faults.append(f"request {i}: {what}")

    def show(self):
        print(json.dumps({"right": self.right, "protocols": sorted(self.protocols), "faults": self.faults}))


def in_sync(url, count):
    tally = Tally()
    with httpx.Client(**OPTIONS) as c:
        for i in range(count):
            method, path, body, want = request(i)
            try:
                tally.response(i, c.request(method, url + path, content=body), want)
            except Exception as e:
                tally.fault(i, repr(e))
    tally.show()


async def in_async(url, count, together):
    tally = Tally()
    async with httpx.AsyncClient(**OPTIONS) as c:
        async def one(i):
            method, path, body, want = request(i)
            try:
                tally.response(i, await c.request(method, url + path, content=body), want)
            except Exception as e:
                tally.fault(i, repr(e))
        # The first opens the connection: the others would wait for one each.
        await one(0)
        if together:
            await asyncio.gather(*(one(i) for i in range(1, count)))
        else:
            for i in range(1, count):
                await one(i)
    tally.show()


mode, url, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
if mode == "sync":
    in_sync(url, count)
else:
    asyncio.run(in_async(url, count, mode == "at-once"))
