// server.mjs is node's http2 server: node server.mjs [KEY CERT]. It prints its port, and serves what site_test.go has at
// the same paths until its standard input ends.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import http2 from "node:http2";

const [, , key, cert] = process.argv;

const big = process.env.BIG_FILE ? readFileSync(process.env.BIG_FILE) : Buffer.alloc(0);

const sha256 = (b) => createHash("sha256").update(b).digest("hex");

const crowds = {}; // streams that wait for more of them, by their number

const paths = {
  "/gather": (stream, query) => {
    const crowd = (crowds[query] ??= []);
    crowd.push(stream);
    if (crowd.length === Number(query)) crowd.forEach((s) => paths["/hello"](s));
  },
  "/hello": (stream) => {
    stream.respond({ ":status": 200 });
    stream.end("hello, world\n");
  },
  // ORIGIN and ALTSVC come before the response.
  "/origins": (stream) => {
    const port = server.address().port;
    stream.session.origin(`https://localhost:${port}`, "https://foreign.example");
    stream.session.altsvc('h2="alt.example:443"', `https://127.0.0.1:${port}`);
    stream.session.altsvc('h2="other.example:443"', stream.id);
    paths["/hello"](stream);
  },
  "/big": (stream) => {
    stream.respond({ ":status": 200 });
    stream.end(big);
  },
  "/hints": (stream) => {
    stream.additionalHeaders({ ":status": 103, link: "</style.css>; rel=preload; as=style" });
    paths["/hello"](stream);
  },
  "/aborted": (stream) => {
    stream.respond({ ":status": 200 });
    stream.end(aborted.join());
  },
  "/push": (stream) => {
    if (!stream.pushAllowed) return paths["/hello"](stream);
    stream.pushStream({ ":path": "/big" }, (err, pushed) => {
      if (err) throw err;
      pushed.on("error", () => {}); // a client that refuses it
      paths["/big"](pushed);
    });
    paths["/hello"](stream);
  },
  "/upload": async (stream) => {
    const hash = createHash("sha256");
    let n = 0;
    for await (const chunk of stream) {
      hash.update(chunk);
      n += chunk.length;
    }
    stream.respond({ ":status": 200 });
    stream.end(`HTTP/2.0 ${n} ${hash.digest("hex")}`);
  },
  "/trailers": async (stream) => {
    let late = {};
    stream.on("trailers", (t) => { late = t; });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const reply = `body=${Buffer.concat(chunks)} x-client=${late["x-client"] ?? ""}`;
    stream.respond({ ":status": 200, trailer: "x-checksum" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-checksum": sha256(reply), "x-late": "yes" }));
    stream.end(reply);
  },
};

const aborted = []; // with which codes clients have reset their tunnels

// tunnel answers CONNECT: it sends back what comes, but for some hosts.
function tunnel(stream, headers) {
  if (headers[":protocol"] !== undefined && headers[":protocol"] !== "websocket") {
    stream.respond({ ":status": 501 }, { endStream: true });
    return;
  }
  switch (headers[":authority"]) {
    case "refused.test:80":
      stream.respond({ ":status": 407, "proxy-authenticate": "Basic" });
      stream.end("who are you?");
      return;
    case "abort.test:80":
      stream.respond({ ":status": 200 });
      stream.once("data", () => stream.close(http2.constants.NGHTTP2_CONNECT_ERROR));
      return;
  }
  stream.on("aborted", () => aborted.push(stream.rstCode));
  stream.respond({ ":status": 200 });
  stream.pipe(stream);
}

// enableConnectProtocol: RFC 8441. Some pushes of /big exceed the default of maxSessionMemory, in megabytes.
const options = { settings: { enableConnectProtocol: true }, maxSessionMemory: 1000 };
const server = key
  ? http2.createSecureServer({ ...options, key: readFileSync(key), cert: readFileSync(cert) })
  : http2.createServer(options);

server.on("stream", (stream, headers) => {
  stream.on("error", () => {}); // a client that gives up
  if (headers[":method"] === "CONNECT") return tunnel(stream, headers);
  if (headers.expect === "100-continue") stream.additionalHeaders({ ":status": 100 });
  const [path, query] = headers[":path"].split("?");
  const serve = paths[path];
  if (serve) {
    serve(stream, query);
  } else {
    stream.respond({ ":status": 404 }, { endStream: true });
  }
});

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
