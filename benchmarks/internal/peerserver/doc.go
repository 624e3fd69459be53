// Package peerserver has what every server in Go answers in a comparison, and the process around
// it: [Handler] with its paths, and [Main], which makes a program one of the servers when it was
// started as that.
//
// The comparison and the module benchmarks/gopeers use it, so that all servers do the same work.
//
// Limitations: a server listens on 127.0.0.1, on one port, with TLS or without.
package peerserver
