package rpc

import (
	"testing"
	"time"

	"github.com/sluice-go/sluice/server"
)

// grpc-go's server has an http.Handler, which is what it needs of an HTTP/2 server.
func TestGRPCOnOurServer(t *testing.T) {
	eachSecurity(t, func(t *testing.T, secure bool) {
		e := newEcho()
		addr := startOurs(t, secure, newGRPCServer(e))
		testCalls(t, dialGRPC(t, addr, secure), e)
	})
}

// A server that ends its connections after a moment loses no call: those that run are finished,
// those that came too late are sent again by the client.
func TestGRPCAcrossAgedConnections(t *testing.T) {
	eachSecurity(t, func(t *testing.T, secure bool) {
		e := newEcho()
		var srv *server.Server
		addr := startOurs(t, secure, newGRPCServer(e), func(s *server.Server) {
			srv = s
			s.MaxConnectionAge = 20 * time.Millisecond
		})
		c := dialGRPC(t, addr, secure)
		for range 5 {
			testAtOnce(t, c, e)
		}
		if n := srv.Stats().Connections; n < 3 {
			t.Errorf("%d connections: none aged while it was in use", n)
		}
	})
}
