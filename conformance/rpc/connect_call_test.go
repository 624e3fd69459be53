package rpc

import (
	"crypto/tls"
	"net"
	"net/http"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/sluice-go/sluice/client"
)

// protocols are those that Connect's client speaks.
var protocols = []struct {
	name string
	opts []connect.ClientOption
}{
	{"connect", nil},
	{"grpc", []connect.ClientOption{connect.WithGRPC()}},
	{"grpcweb", []connect.ClientOption{connect.WithGRPCWeb()}},
}

// newConnectCaller returns Connect's client over our Transport.
func newConnectCaller(t *testing.T, addr string, secure bool, opts ...connect.ClientOption) *connectCaller {
	tr := &client.Transport{
		Protocols:       new(http.Protocols),
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	tr.Protocols.SetHTTP2(true)
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	c := &connectCaller{hc: &http.Client{Transport: tr}, url: "http://" + addr, opts: opts}
	if secure {
		c.url = "https://" + addr
	}
	return c
}

func TestConnectOverOurTransport(t *testing.T) {
	servers := []struct {
		name  string
		start func(t *testing.T, secure bool, h http.Handler) (addr string)
	}{
		{"server.Server", func(t *testing.T, secure bool, h http.Handler) string { return startOurs(t, secure, h) }},
		{"http.Server", startNetHTTP},
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			eachSecurity(t, func(t *testing.T, secure bool) {
				for _, p := range protocols {
					t.Run(p.name, func(t *testing.T) {
						e := newEcho()
						addr := s.start(t, secure, newConnectHandler(e))
						testCalls(t, newConnectCaller(t, addr, secure, p.opts...), e)
					})
				}
			})
		})
	}
}

// grpc-go's server has an HTTP/2 of its own, unlike net/http's.
func TestConnectOverOurTransportToGRPC(t *testing.T) {
	eachSecurity(t, func(t *testing.T, secure bool) {
		e := newEcho()
		var opts []grpc.ServerOption
		if secure {
			opts = append(opts, grpc.Creds(credentials.NewTLS(serverTLS(t))))
		}
		s := newGRPCServer(e, opts...)
		addr := serveUntilEnd(t, func(l net.Listener) error { return s.Serve(l) }, s.Stop)
		testCalls(t, newConnectCaller(t, addr, secure, connect.WithGRPC()), e)
	})
}
