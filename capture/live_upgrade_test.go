package capture

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/server"
)

// A request that became stream 1 by Upgrade is shown as that of stream 1, with its settings and
// without its secrets.
func TestLiveUpgrade(t *testing.T) {
	r := record()
	l := &Live{Handler: r.handle}
	s := newTestServer(t, func(srv *server.Server) {
		srv.TLSConfig, srv.Tracer, srv.AllowH2CUpgrade = nil, l, true
	}, nil)
	nc, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	settings := base64.RawURLEncoding.EncodeToString([]byte{0, 4, 0, 0, 0, 5}) // SETTINGS_INITIAL_WINDOW_SIZE
	fmt.Fprintf(nc, "GET /up HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"+
		"HTTP2-Settings: %s\r\nCookie: id=0123456789\r\n\r\n%s", settings, frame.AppendSettings([]byte(frame.Preface)))
	b := bufio.NewReader(nc)
	res, err := http.ReadResponse(b, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", res, err)
	}
	fr := frame.NewReader(b)
	await := func(what string, done func(frame.Header) bool) {
		t.Helper()
		for {
			h, _, err := fr.Next()
			if err != nil {
				t.Fatalf("waiting for %s: %v", what, err)
			}
			if done(h) {
				return
			}
		}
	}
	await("DATA", func(h frame.Header) bool { return h.Type == frame.TypeData })
	_, _ = nc.Write(frame.WindowUpdate{StreamID: 1, Increment: 100}.Append(nil))
	await("the end", func(h frame.Header) bool { return h.Flags.Has(frame.FlagEndStream) })
	_ = nc.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, b)
	r.wait(t, 1)
	if c := r.conns[0]; c.Found != "upgrade" || c.StartMissing {
		t.Errorf("the connection is %+v", c)
	}
	if len(r.requests) != 1 {
		t.Fatalf("%d requests", len(r.requests))
	}
	q := r.requests[0]
	if q.Stream != 1 || !q.Upgraded || q.Method != "GET" || q.Path != "/up" || q.Authority != "a.test" ||
		q.Status != 200 || !q.Complete || q.Body != [2]int64{0, int64(len("hello /up"))} {
		t.Errorf("the request is %+v", q)
	}
	for _, f := range q.Fields[Client] {
		if f.Name == "cookie" && !f.Hidden {
			t.Errorf("the cookie is %q", f.Value)
		}
	}
	if len(r.findings) > 0 {
		t.Errorf("found %+v", r.findings)
	}
}
