package server

import (
	"net/http"

	"github.com/sluice-go/sluice/conn"
)

// SetPriority decides when the response is sent, in relation to the others on its connection. What
// p states holds from then on in place of what the client has asked for or asks for later, and what
// it does not state stays as it is: the parameters of RFC 9218 where p.Extensible is set, a place
// in the tree of RFC 7540 §5.3 where p.Tree is. Which of the two counts is up to Config.Scheduler;
// by default it is RFC 9218, but the tree where the client speaks of that alone. It is a matter
// between handler and server: nothing is sent to the client.
//
// A handler that sets the field Priority in its response's header has the same done for the
// parameters of RFC 9218 that the field states, and only those (RFC 9218 §8); and the field is
// sent.
//
// w may be a wrapper with a method Unwrap, as for http.ResponseController. The error is
// http.ErrNotSupported where w is not of this package or the request came over HTTP/1.1; any other
// says that the stream is gone.
func SetPriority(w http.ResponseWriter, p PriorityParams) error {
	r, ok := unwrap(w).(*response)
	if !ok {
		return http.ErrNotSupported
	}
	return r.x.withStream(func(s *conn.Stream) error { return s.SetPriority(p) })
}

// Priority returns the priority of the response: what the client has asked for with the request or
// after it, or what was decided here. The error is as of SetPriority.
func Priority(w http.ResponseWriter) (p PriorityParams, err error) {
	r, ok := unwrap(w).(*response)
	if !ok {
		return p, http.ErrNotSupported
	}
	err = r.x.withStream(func(s *conn.Stream) error {
		p = s.Priority()
		return nil
	})
	return p, err
}
