// Command compareclient measures what a request costs a client: user and
// system CPU time of the client's process, and its allocations, for
// client.Transport and for the http.Transport of net/http in the same run.
//
//	go run ./benchmarks/compareclient
//
// Each client is a process of its own that is pinned to one CPU; the server is
// nghttpd, in C, on another. There are two kinds of scenario, in clear (h2c)
// and over TLS: many requests for 13 bytes, from one or a hundred goroutines
// over one connection, each of which reads the body to its end and closes it;
// and the download of one large body. Rounds of the two clients alternate, so
// that what the machine does meanwhile falls on both. The result is a Markdown
// table with the median and the spread of the rounds, and the ratio of the two
// beside the project's bar for it.
//
// It needs Linux, nghttpd (Debian: nghttp2-server) and taskset (util-linux).
// With one CPU, or without taskset, it measures all the same and says that
// client and server shared their CPUs.
//
// -profile writes a CPU profile of each client in each scenario, from a round
// that is not part of any figure.
//
// Limitations: it says nothing about latency, uploads or many connections. A
// goroutine uses its http.Request again once the response's body is closed, so
// what it costs to make one is not counted. Allocations are those of the whole
// process. Where nghttpd is the slower of the two, which the report then says,
// the throughput of a download is nghttpd's, and the client finds less in each
// read than it could.
package main
