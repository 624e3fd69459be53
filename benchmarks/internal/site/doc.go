// Package site is what every server in Go answers in a comparison, and the
// process around it: [Handler] with its paths, and [Main], which makes a
// program one of its servers when it was started as that.
//
// It belongs to the comparison and its peers, in this module and in the
// nested one, so that all of them do the same work.
//
// Limitations: a server listens on 127.0.0.1, on one port, with TLS or without.
package site
