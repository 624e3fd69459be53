package conformance

import (
	"net"
	"net/http"
	"testing"

	"golang.org/x/net/nettest"

	"github.com/sluice-go/sluice/server"
)

// acceptTunnels is a handler that accepts CONNECT and gives each tunnel to the test that waits for
// it, until done is closed.
type acceptTunnels chan net.Conn

func (a acceptTunnels) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tunnel, err := server.AcceptConnect(w)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	closed := make(chan struct{})
	a <- tunnelUntilClosed{tunnel, closed}
	<-closed
}

// tunnelUntilClosed says when the handler may return.
type tunnelUntilClosed struct {
	net.Conn
	closed chan struct{}
}

func (c tunnelUntilClosed) Close() error {
	select {
	case <-c.closed:
		return nil
	default:
		close(c.closed)
	}
	return c.Conn.Close()
}

func connectRequest(t *testing.T, url, host string, fields ...string) *http.Request {
	t.Helper()
	req := newRequest(t, http.MethodConnect, url, nil)
	req.Host = host
	for i := 0; i < len(fields); i += 2 {
		req.Header[fields[i]] = []string{fields[i+1]}
	}
	return req
}

// The two ends of a tunnel behave as x/net's nettest says that a net.Conn must.
func TestTunnelNettest(t *testing.T) {
	for _, secure := range []bool{false, true} {
		name := "h2c"
		if secure {
			name = "tls"
		}
		t.Run(name, func(t *testing.T) {
			accepted := make(acceptTunnels)
			ls := startServer(t, secure, accepted)
			tr := newTransport(t)
			for _, swap := range []bool{false, true} {
				name := "client first"
				if swap {
					name = "server first"
				}
				t.Run(name, func(t *testing.T) {
					nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
						c1, _, err = tr.Connect(connectRequest(t, ls.URL, "example.test:80"))
						if err != nil {
							return nil, nil, nil, err
						}
						c2 = <-accepted
						stop = func() {
							_ = c1.Close()
							_ = c2.Close()
						}
						if swap {
							c1, c2 = c2, c1
						}
						return c1, c2, stop, nil
					})
				})
			}
		})
	}
}
