// Package benchmarks measures sluice against its peers in the same run.
//
//	go test -bench . ./benchmarks
//
// measures the layers without a socket: the codec of each frame type against
// the Framer of golang.org/x/net/http2, and whole connections, two conn/core
// machines back to back in one goroutine, from the request's header fields to
// the response's last octet and for bulk data.
//
//	go run ./benchmarks/compare
//
// measures whole servers and clients against others, as processes with a CPU
// each. Its scenarios, each with the project's targets (-list prints them):
//
//   - c10m100, c100m10, c1m1: GETs of 13 octets in clear (h2c), over so many
//     connections with so many requests in flight on each. With hundreds in
//     flight, reads and writes carry many requests; with one, each costs system
//     calls and switches between processes. tls-c10m100 and tls-c1m1 are the
//     same over TLS.
//   - fields-in, fields-out: as c10m100, with 20 more fields of about 40
//     octets in the request or in the response.
//   - down-1m, down-10m, tls-down-1m, tls-down-10m: responses of 1 and 10 MiB,
//     over 4 connections, one at a time on each; the cost is CPU time for each
//     gigabyte (10^9 octets of body). Servers in Go write the body from memory
//     with one Write, those of files read it from a file in the page cache.
//   - up-1m, tls-up-1m: request bodies of 1 MiB, likewise, which the server
//     reads to their end before it answers.
//   - c10m10, c10m1000, c1000m10: whether a request costs more where there are
//     a hundred times as many streams on a connection, or connections. The
//     servers allow as many streams as are asked for; rounds of c1000m10 are
//     four times as long, since what it costs to make the connections is part
//     of them.
//   - latency-c1m1, latency-half: how long each request takes, as h2load logs
//     it: with one in flight, and with ten connections and half as many
//     requests each second as net/http can answer in c10m100, the same number
//     for all.
//   - idle, tls-idle: memory of the process (proportional set size) for each of
//     10,000 connections, 2,000 over TLS, that have made one request and are
//     kept, over what it was before; servers in Go collect
//     their garbage first.
//   - client-c100, client-c1, client-down, client-tls-down: the client's side,
//     over one connection to nghttpd: 100 requests or one in flight for 13
//     octets, read to the end and closed, with their allocations; and bodies of
//     64 MiB, one at a time, in clear and over TLS.
//   - relay-down, relay-up, relay-new, relay-get: a proxy between a client with one connection of
//     HTTP/2 on TLS and another proxy, in HTTP/1.1: tunnels of 64 MiB, 4 at a time, tunnels of one
//     octet there and back, 32 at a time, and requests with the scheme http, 32 at a time. The
//     peers nghttpx and haproxy pass CONNECT on and cannot end a tunnel themselves, which is why
//     all have a proxy behind them. direct is this module's server, without a proxy.
//   - frames: the codec without a socket, from the benchmarks above: the slowest
//     type of small frame to read, and DATA of 16 KiB written, in parts of what
//     a plain copy of it takes.
//
// The peers, each in the scenarios that it can do: sluice (package server with an
// ordinary http.Handler) and sluice-conn (a handler on conn.Stream, without
// net/http's types); net/http of the same Go and of Go 1.27, golang.org/x/net/http2
// and dgrr/http2 with fasthttp, which are built from the module
// benchmarks/gopeers; hyper, in Rust, which is built where cargo and its crates
// are there; and nghttpd, h2o, nginx, node and Caddy, and as proxies nghttpx and
// haproxy, where they are installed.
// The last is baseline, which is neither server nor client: octets that were made
// at the start, written by the least program that makes the system calls of small
// requests (package baseline, Linux only). What it takes is the kernel's and the
// machine's.
//
// Which share of a slow connection each of several responses gets, beside the share that the
// scheduler decides on:
//
//	go run ./benchmarks/shares
//
// How much of a long path one stream fills is a test, in memory:
//
//	go test -v ./benchmarks/longpath
//
// Limitations: a benchmark without a socket says what protocol work costs, and
// not what a user waits for: at small requests system calls and switches
// between goroutines cost more.
package benchmarks
