//go:build !nethttpomithttp2

package client

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"
)

// userConn is what a dial function of the application has made.
type userConn struct{ net.Conn }

// Below TLS callbacks see what the dial function gave, over both protocols.
func TestTraceSeesDialedConn(t *testing.T) {
	for _, h2 := range []bool{true, false} {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		srv.EnableHTTP2 = h2
		srv.StartTLS()
		defer srv.Close()
		tr := &Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the certificate is of this test
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := new(net.Dialer).DialContext(ctx, network, addr)
				return &userConn{nc}, err
			},
		}
		defer tr.CloseIdleConnections()
		var got net.Conn
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(i httptrace.GotConnInfo) { got = i.Conn },
		})
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if (resp.ProtoMajor == 2) != h2 {
			t.Errorf("the protocol is %s", resp.Proto)
		}
		tc, ok := got.(*tls.Conn)
		if !ok {
			t.Fatalf("GotConn sees a %T", got)
		}
		if _, ok := tc.NetConn().(*userConn); !ok {
			t.Errorf("%s: below TLS is a %T", resp.Proto, tc.NetConn())
		}
	}
}
