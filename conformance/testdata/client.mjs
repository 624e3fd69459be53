// client.mjs drives node's http2 client: node client.mjs CASE URL. The result is one line of JSON on the standard
// output; an error of any kind ends the program with a status that is not 0.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import http2 from "node:http2";

const [, , name, url, arg] = process.argv;

// request sends one request and collects all that comes back until endEvent.
function request(session, headers, body, trailers, endEvent = "close") {
  return new Promise((resolve, reject) => {
    const req = session.request(headers, { endStream: body === undefined, waitForTrailers: trailers !== undefined });
    const res = { informational: [], chunks: [], trailers: {}, continued: false };
    req.on("headers", (h) => res.informational.push({ status: h[":status"], link: h.link }));
    req.on("continue", () => { res.continued = true; });
    req.on("response", (h) => { res.status = h[":status"]; res.headers = h; });
    req.on("trailers", (h) => { res.trailers = h; });
    req.on("wantTrailers", () => req.sendTrailers(trailers));
    req.on("data", (c) => res.chunks.push(c));
    req.on("error", reject);
    req.on(endEvent, () => {
      res.body = Buffer.concat(res.chunks);
      res.code = req.rstCode;
      resolve(res);
    });
    if (body !== undefined && headers.expect === undefined) req.end(body);
    if (headers.expect !== undefined) req.on("continue", () => req.end(body));
  });
}

// tunnel sends text through a tunnel and collects what comes back, and how it ends.
function tunnel(session, headers, text, isAll) {
  return new Promise((resolve) => {
    const req = session.request(headers, { endStream: false });
    const res = { received: "" };
    req.on("response", (h) => {
      res.status = h[":status"];
      if (h["sec-websocket-protocol"]) res.protocol = h["sec-websocket-protocol"];
      req.write(text);
    });
    req.on("data", (c) => {
      res.received += c.toString("latin1");
      if (isAll(res.received)) req.end();
    });
    req.on("end", () => {
      res.ended = true;
      if (res.status !== 200) resolve(res); // node 20 may not close such a stream; see refuseRunning
    });
    req.on("error", (err) => { res.error = err.code; });
    req.on("close", () => { res.code = req.rstCode; resolve(res); });
  });
}

const sha256 = (b) => createHash("sha256").update(b).digest("hex");

const cases = {
  async get(s) {
    const r = await request(s, { ":path": "/proto" });
    return { status: r.status, body: r.body.toString(), alpn: s.alpnProtocol };
  },
  async post(s) {
    const r = await request(s, { ":path": "/upload", ":method": "POST" }, readFileSync(arg));
    return { status: r.status, body: r.body.toString() };
  },
  async download(s) {
    const r = await request(s, { ":path": "/big" });
    return { status: r.status, length: r.body.length, sha256: sha256(r.body) };
  },
  async trailers(s) {
    const r = await request(s, { ":path": "/trailers", ":method": "POST", trailer: "x-client" }, "small", { "x-client": "from node" });
    return { status: r.status, body: r.body.toString(), checksum: r.trailers["x-checksum"], late: r.trailers["x-late"] };
  },
  async hints(s) {
    const r = await request(s, { ":path": "/hints" });
    return { status: r.status, body: r.body.toString(), informational: r.informational };
  },
  async expect(s) {
    const r = await request(s, { ":path": "/upload", ":method": "POST", expect: "100-continue" }, "small");
    return { status: r.status, body: r.body.toString(), continued: r.continued };
  },
  // The handler answers without reading the body, so nothing asks for it.
  async refuse(s) {
    const r = await request(s, { ":path": "/refuse", ":method": "POST", expect: "100-continue" }, "small");
    return { status: r.status, body: r.body.toString(), continued: r.continued, code: r.code };
  },
  // The same with the body on its way: RFC 9113 §8.1 lets the server answer and then reset with NO_ERROR.
  // Node 20 often forgets to close such a stream, whichever server it is, so the end of the answer is the end here.
  async refuseRunning(s) {
    const r = await request(s, { ":path": "/refuse", ":method": "POST" }, readFileSync(arg), undefined, "end");
    return { status: r.status, body: r.body.toString(), code: r.code };
  },
  async concurrent(s) {
    await new Promise((resolve) => s.once("remoteSettings", resolve));
    const all = await Promise.all(Array.from({ length: 1000 }, () => request(s, { ":path": "/hello" })));
    return {
      answers: all.filter((r) => r.status === 200 && r.body.toString() === "hello, world\n" && r.code === 0).length,
      limit: s.remoteSettings.maxConcurrentStreams,
    };
  },
  // Resets a request once its answer has begun; the connection lives on.
  async reset(s) {
    const req = s.request({ ":path": "/wait?token=" + arg });
    await new Promise((resolve, reject) => { req.on("response", resolve); req.on("error", reject); });
    req.close(http2.constants.NGHTTP2_CANCEL);
    await new Promise((resolve) => req.on("close", resolve));
    const r = await request(s, { ":path": "/hello" });
    return { status: r.status, code: req.rstCode };
  },
  // Sends something through a tunnel to the host arg, ends its direction when that has come back, and waits for the end.
  async connect(s) {
    return tunnel(s, { ":method": "CONNECT", ":authority": arg }, "ping", (got) => got === "ping");
  },
  // The same for one masked frame of WebSocket, whose echo is not masked.
  async websocket(s) {
    await new Promise((resolve) => s.once("remoteSettings", resolve));
    const mask = [1, 2, 3, 4];
    const text = Buffer.from("hello");
    const frame = Buffer.from([0x81, 0x80 | text.length, ...mask, ...text.map((c, i) => c ^ mask[i % 4])]);
    const r = await tunnel(s, {
      ":method": "CONNECT", ":protocol": "websocket", ":path": "/chat", "sec-websocket-version": "13", "sec-websocket-protocol": "echo",
    }, frame, (got) => got.length === 2 + text.length);
    return { ...r, offered: s.remoteSettings.enableConnectProtocol };
  },
  // Takes what is pushed with a page: the promise, and the response to it.
  async push(s) {
    const pushed = new Promise((resolve, reject) => {
      s.on("stream", (stream, requestHeaders) => {
        const res = { path: requestHeaders[":path"], method: requestHeaders[":method"], chunks: [] };
        stream.on("push", (h) => { res.status = h[":status"]; });
        stream.on("data", (c) => res.chunks.push(c));
        stream.on("error", reject);
        stream.on("end", () => resolve(res));
      });
    });
    const r = await request(s, { ":path": "/push" });
    const p = await pushed;
    const body = Buffer.concat(p.chunks);
    return { status: r.status, body: r.body.toString(), pushed: { path: p.path, method: p.method, status: p.status, length: body.length, sha256: sha256(body) } };
  },
  // Takes no pushes, at first and later: the page says so.
  async noPush(s) {
    let pushes = 0;
    s.on("stream", (stream) => { pushes++; stream.close(http2.constants.NGHTTP2_CANCEL); });
    const statuses = [];
    for (const enablePush of [true, false, true]) {
      await new Promise((resolve) => s.settings({ enablePush }, resolve));
      statuses.push((await request(s, { ":path": "/push" })).status);
    }
    return { statuses, pushes };
  },
  async origins(s) {
    const origins = [], services = [];
    s.on("origin", (list) => origins.push(...list));
    s.on("altsvc", (value, origin) => services.push([origin, value]));
    await request(s, { ":path": "/hello" });
    return { origins, services };
  },
  async ping(s) {
    await new Promise((resolve) => s.once("connect", resolve));
    const payload = Buffer.from("12345678");
    const echoed = await new Promise((resolve, reject) =>
      s.ping(payload, (err, _, p) => (err ? reject(err) : resolve(p))));
    return { echoed: echoed.toString() };
  },
};

// Node counts a body that waits to be sent as memory of the session and resets streams beyond 10 MB of it.
const session = http2.connect(url, { rejectUnauthorized: false, maxSessionMemory: 64 });
session.on("error", (err) => { console.error(err); process.exit(1); });
try {
  console.log(JSON.stringify(await cases[name](session)));
  session.destroy();
} catch (err) {
  console.error(err);
  process.exit(1);
}
