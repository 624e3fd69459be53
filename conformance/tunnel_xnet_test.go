//go:build !go1.27

package conformance

import (
	"io"
	"testing"
)

// Extended CONNECT by x/net's own client, which is there up to Go 1.26: net/http's refuses the
// field ":protocol".
func TestXNetExtendedConnect(t *testing.T) {
	s := newTunnelSite()
	ls := startServer(t, false, s, offerConnect)
	req := connectRequest(t, ls.URL+"/chat", "", ":protocol", "websocket")
	up, upEnd := io.Pipe()
	req.Body = up
	resp, err := xnetTransport(t).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(upEnd, "\x81\x85\x00\x00\x00\x00hello"); err != nil { // masked with zeros
		t.Fatal(err)
	}
	_ = upEnd.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "\x81\x05hello" {
		t.Errorf("%q came back, %v", got, err)
	}
	_ = resp.Body.Close()
	s.wantEnd(t, nil)
}
