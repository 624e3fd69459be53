package conn

import "errors"

// SendOrigin says for which origins a client may use this connection (RFC 8336), each as
// "https://host:port" without a port that is the default. What a client does with it needs a
// certificate for these hosts, so it is for TLS. Nothing is flushed.
func (s *Server) SendOrigin(origins ...string) error {
	return s.announce(func() error {
		s.core.SendOrigin(origins)
		return nil
	})
}

// SendAltSvc says where else an origin, "https://host:port", is served (RFC 7838 §4). value is as
// in an Alt-Svc field: `h2="alt.example.com:443"; ma=3600`. Nothing is flushed.
func (s *Server) SendAltSvc(origin, value string) error {
	return s.announce(func() error {
		if origin == "" || len(origin) > 1<<16-1 || !s.core.SendAltSvc(nil, origin, value) {
			return errAltSvc
		}
		return nil
	})
}

// SendAltSvc is [Server.SendAltSvc] for the origin of the request on st. Server only.
func (st *Stream) SendAltSvc(value string) error {
	return st.c.announce(func() error {
		if err := st.writeErrLocked(); err != nil {
			return err
		}
		if !st.c.core.SendAltSvc(&st.cs, "", value) {
			return errAltSvc
		}
		return nil
	})
}

var errAltSvc = errors.New("http2: ALTSVC without an origin, or longer than a frame")

// announce calls f, which appends a frame to the output, unless the connection has ended.
func (c *Conn) announce(f func() error) error {
	c.mu.Lock()
	defer c.unlockAndNotify()
	if c.mu.phase != phaseOpen {
		return c.endErrLocked()
	}
	c.ensureOutputLocked()
	err := f()
	if err != nil {
		c.dropOutputLocked()
	}
	return err
}
