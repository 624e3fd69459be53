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
