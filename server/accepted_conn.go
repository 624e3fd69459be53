package server

import (
	"crypto/tls"
	"net"

	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// The application can see which net.Conn lies below a tls.Conn: as ClientHelloInfo.Conn in
// callbacks of the tls.Config, and as NetConn of the tls.Conn that ConnContext and ConnState are
// given and that Hijack of HTTP/1.1 returns. It must see what its listener gave, not a
// tlsbatch.Conn. So
//
//  1. ServeTLS puts no tlsbatch.Conn between where ConnContext or ConnState is set (exposesConns);
//  2. callbacks of the tls.Config are given a ClientHelloInfo with the listener's connection
//     (showAcceptedConn);
//  3. the tlsbatch.Conn is taken out of a connection that does not speak HTTP/2
//     (pendingConn.serveHTTP1).

// exposesConns reports whether a callback of s is given connections.
func (s *Server) exposesConns() bool { return s.ConnContext != nil || s.ConnState != nil }

// showAcceptedConn has the callbacks of c, which is a copy of the application's, see what the
// listener gave.
func showAcceptedConn(c *tls.Config) {
	if f := c.GetCertificate; f != nil {
		c.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return f(withAcceptedConn(h)) }
	}
	if f := c.GetEncryptedClientHelloKeys; f != nil {
		c.GetEncryptedClientHelloKeys = func(h *tls.ClientHelloInfo) ([]tls.EncryptedClientHelloKey, error) {
			return f(withAcceptedConn(h))
		}
	}
	f := c.GetConfigForClient
	if f == nil {
		return
	}
	c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		next, err := f(withAcceptedConn(h))
		if err != nil || next == nil || next.GetCertificate == nil && next.GetEncryptedClientHelloKeys == nil {
			return next, err
		}
		next = next.Clone()
		next.GetConfigForClient = nil // crypto/tls does not call it again
		showAcceptedConn(next)
		return next, nil
	}
}

// withAcceptedConn returns h with the listener's connection in place of the tlsbatch.Conn.
func withAcceptedConn(h *tls.ClientHelloInfo) *tls.ClientHelloInfo {
	s, ok := h.Conn.(*tlsbatch.Conn)
	if !ok {
		return h
	}
	seen := *h
	seen.Conn = s.NetConn()
	return &seen
}

// acceptedConn returns what the listener gave where nc is a tls.Conn of a tlsListener, and nc
// otherwise.
func acceptedConn(nc net.Conn) net.Conn {
	if s := tlsbatch.Of(nc); s != nil {
		return s.NetConn()
	}
	return nc
}
