// Package benchmarks measures sluice against its peers in the same run.
//
//	go test -bench . ./benchmarks
//
// measures the floors without a socket: the codec of each frame type against
// the Framer of golang.org/x/net/http2, and whole connections, two conn/core
// machines back to back in one goroutine, from the request's header fields to
// the response's last octet and for bulk data.
//
//	go run ./benchmarks/compare
//
// measures the server against net/http's, with h2load as the client; see
// there.
//
// Limitations: a benchmark without a socket says what protocol work costs, and
// not what a user waits for: at small requests system calls and switches
// between goroutines cost more.
package benchmarks
