//go:build !go1.27

package server

import "net/http"

// maxHeaderValueCount is Server.MaxHeaderValueCount, which http.Server has since Go 1.27.
func maxHeaderValueCount(*http.Server) int { return 0 }

// disableClientPriority is Server.DisableClientPriority, which http.Server has since Go 1.27.
func disableClientPriority(*http.Server) bool { return false }

// copyNewFields copies the fields of s that http.Server has since Go 1.27.
func (s *Server) copyNewFields(*http.Server) {}

// headerDeadlines is how often an http.Server sets the deadline for the header of a connection's
// first request: when it takes the connection, and when it begins to read.
const headerDeadlines = 2

// timesHandshakes says that an http.Server sets a deadline for the handshake of any connection with
// a method ConnectionState, and takes it back.
const timesHandshakes = false
