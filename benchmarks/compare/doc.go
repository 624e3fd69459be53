// Command compare measures what a request costs a server: user and system CPU
// time of the server's process, over a fixed number of requests, for sluice
// and for the HTTP/2 of net/http in the same run.
//
//	go run ./benchmarks/compare
//
// Both servers run the same http.Handler with an answer of 13 bytes, in clear
// (h2c), each as a process of its own that is pinned to one CPU; h2load, in C,
// makes the load from another CPU. Rounds of the two alternate, so that what
// the machine does meanwhile falls on both. The result is a Markdown table
// with the median and the spread of the rounds, the ratio of the two, and how
// many requests each read and write system call carried.
//
// It needs Linux, h2load (Debian: nghttp2-client) and taskset (util-linux).
// With one CPU, or without taskset, it measures all the same and says that
// server and load shared their CPUs.
//
// Limitations: it says nothing about latency, TLS or large bodies. System
// calls are those that Linux counts as reads and writes of the process
// (/proc/self/io); those that found nothing to read are among them.
package main
