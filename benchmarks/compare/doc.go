// Command compare measures what a request costs: user and system CPU time of
// the process that is measured, for sluice and for its peers in the same run.
//
//	go run ./benchmarks/compare                                   # everything
//	go run ./benchmarks/compare -scenarios c10m100 -rounds 3      # one scenario
//	go run ./benchmarks/compare -scenarios 'tls-*' -peers 'sluice,net/http'
//	go run ./benchmarks/compare -list                             # scenarios and peers
//
// Each peer is a process of its own that is pinned to one CPU; the load has
// another: h2load, in C, for servers, and nghttpd, in C, for clients.
// Rounds of the peers alternate, so that what the machine does meanwhile falls
// on all of them. A round starts the peer, warms it up, and then has it do as
// much as fills -seconds. The result is Markdown: the medians of all, the
// project's targets beside what was found, and for each peer the spread of its
// rounds, its speed, how busy it and the load were, and how many requests each
// read and write system call carried (programs in Go only). It says where the
// load and not the peer was the limit. -json has every round.
//
// Package benchmarks says what each scenario is.
//
// It needs Linux, h2load (Debian: nghttp2-client), and for clients nghttpd
// (nghttp2-server); peers that are not installed are left out, and it says so.
// With one CPU, or without taskset (util-linux), it measures all the same and
// says that peer and load shared their CPUs.
//
// A peer called baseline is what the system calls alone cost, by the least program
// that can make them (package baseline): where a target is missed that the baseline would
// miss, too, the report says so beside it, and the target is still missed.
//
// -profile writes CPU profiles and -strace counts system calls, of servers and
// clients in Go, in rounds that are part of no figure; a profile takes
// -profile-seconds.
//
// Limitations: one machine, and the loopback in the place of a network. A
// client's goroutine uses its http.Request again once the response's body is
// closed, so what it costs to make one is not counted. System calls are those
// that Linux counts as reads and writes of the process (/proc/PID/io); those
// that found nothing to read are among them.
package main
