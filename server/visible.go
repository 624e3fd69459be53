package server

import (
	"crypto/tls"
	"net"

	"github.com/sluice-go/sluice/internal/tlssock"
)

// What crypto/tls lies on is seen by callbacks, as ClientHelloInfo.Conn, and as NetConn of the
// tls.Conn that ConnContext and ConnState are given, and Hijack of HTTP/1.1. They must see what the
// listener gave. So package tlssock lies in between only where no callback is given the tls.Conn,
// and leaves where the handshake does not end with HTTP/2; callbacks of the tls.Config are given
// ClientHelloInfo with the listener's connection in it.

// showsConns reports whether a callback of s is given connections.
func (s *Server) showsConns() bool { return s.ConnContext != nil || s.ConnState != nil }

// showListenersConn has the callbacks of c, which is ours, see what the listener gave.
func showListenersConn(c *tls.Config) {
	if f := c.GetCertificate; f != nil {
		c.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return f(seenHello(h)) }
	}
	if f := c.GetEncryptedClientHelloKeys; f != nil {
		c.GetEncryptedClientHelloKeys = func(h *tls.ClientHelloInfo) ([]tls.EncryptedClientHelloKey, error) {
			return f(seenHello(h))
		}
	}
	f := c.GetConfigForClient
	if f == nil {
		return
	}
	c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		next, err := f(seenHello(h))
		if err != nil || next == nil || next.GetCertificate == nil && next.GetEncryptedClientHelloKeys == nil {
			return next, err
		}
		next = next.Clone()
		next.GetConfigForClient = nil // is not asked again
		showListenersConn(next)
		return next, nil
	}
}

// seenHello returns h with the listener's connection in it.
func seenHello(h *tls.ClientHelloInfo) *tls.ClientHelloInfo {
	s, ok := h.Conn.(*tlssock.Conn)
	if !ok {
		return h
	}
	seen := *h
	seen.Conn = s.NetConn()
	return &seen
}

// listenersConn returns what nc lies on where nc is TLS of a tlsListener, and nc otherwise.
func listenersConn(nc net.Conn) net.Conn {
	if tc, ok := nc.(*tls.Conn); ok {
		if s, ok := tc.NetConn().(*tlssock.Conn); ok {
			return s.NetConn()
		}
	}
	return nc
}
