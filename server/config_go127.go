//go:build go1.27

package server

import "net/http"

// maxHeaderValueCount is Server.MaxHeaderValueCount, which http.Server has since Go 1.27.
func maxHeaderValueCount(hs *http.Server) int { return hs.MaxHeaderValueCount }

// disableClientPriority is Server.DisableClientPriority, which http.Server has since Go 1.27.
func disableClientPriority(hs *http.Server) bool { return hs.DisableClientPriority }

// copyNewFields copies the fields of s that http.Server has since Go 1.27.
func (s *Server) copyNewFields(hs *http.Server) {
	hs.MaxHeaderValueCount = s.MaxHeaderValueCount
	hs.DisableClientPriority = s.DisableClientPriority
}

// headerDeadlines is how often an http.Server sets the deadline for the header of a connection's
// first request: when it takes the connection.
const headerDeadlines = 1

// timesHandshakes says that an http.Server sets a deadline for the handshake of any connection with
// a method ConnectionState, and takes it back.
const timesHandshakes = true
