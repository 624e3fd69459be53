// Package sluice is the root of an HTTP/2 written from the wire up, in pure
// Go. It holds no code of its own: a program imports one of the packages
// below, most often [github.com/sluice-go/sluice/server].
//
//	srv := &server.Server{Addr: ":8443", Handler: mux}
//	err := srv.ListenAndServeTLS("cert.pem", "key.pem")
//
// # Layout
//
// The packages are layers. Each imports only packages of lower layers, and the
// linter checks that (.golangci.yml):
//
//   - [github.com/sluice-go/sluice/frame]: the wire format of RFC 9113 §6 and
//     its extensions, error codes, settings.
//   - [github.com/sluice-go/sluice/flow]: send and receive windows, and when
//     to grant more credit (RFC 9113 §5.2).
//   - [github.com/sluice-go/sluice/stream]: the states of a stream as a table
//     (RFC 9113 §5.1), identifiers, the table of streams.
//   - [github.com/sluice-go/sluice/stream/priority]: which stream sends next.
//   - [github.com/sluice-go/sluice/conn/header]: HPACK and the rules for the
//     fields of a message (RFC 9113 §8).
//   - [github.com/sluice-go/sluice/conn/core]: one connection of either role
//     as a machine without I/O: bytes in, events out, bytes to send out.
//   - [github.com/sluice-go/sluice/conn]: that machine on a net.Conn: its
//     lock, its read loop, its timers, streams with blocking reads and
//     writes.
//   - [github.com/sluice-go/sluice/server]: the semantics of net/http's server
//     on top, as a Server of its own or plugged into an http.Server.
//   - [github.com/sluice-go/sluice/client]: the semantics of net/http's
//     transport on top, as a Transport of its own or plugged into an
//     http.Transport.
//
// The first six are pure: no goroutine, no clock, no I/O and no lock, so a
// program with an event loop of its own can use them as they are.
//
// Beside these there are the command (cmd/sluice), small programs to copy from
// (examples), the conformance suite (conformance) and the measurements
// (benchmarks). docs/ARCHITECTURE.md shows how data flows through the layers,
// and what owns it.
package sluice
