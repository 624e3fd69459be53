package proxy

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/cmd/sluice/internal/inspect"
	"github.com/sluice-go/sluice/cmd/sluice/internal/watch"
	"github.com/sluice-go/sluice/cmd/sluice/internal/watch/watchtest"
	"github.com/sluice-go/sluice/tunnel"
)

// The page shows both legs of tunnels, without what the proxy sets, and the capture has the keys of
// both.
func TestWatch(t *testing.T) {
	o := newOrigin(t)
	opts := local(o)
	opts.Intercept, opts.CADir = true, filepath.Join(t.TempDir(), "ca")
	opts.SetHeader = writeFile(t, "fields.txt", "example.com: Authorization: Bearer first\n")
	opts.Watch = watch.Options{UI: "127.0.0.1:0", Record: filepath.Join(t.TempDir(), "a.pcapng")}
	opts.Adjust = func(p *tunnel.Proxy) {
		o.adjust(p)
		p.Intercept.RootCAs = o.roots
	}
	r := start(t, opts)
	ca, err := tunnel.LoadCA(opts.CADir)
	if err != nil {
		t.Fatal(err)
	}
	page := watchtest.Open(t, r.Out.String())
	trusting := &origin{addr: o.addr, roots: x509.NewCertPool()}
	trusting.roots.AddCert(ca.Certificate())
	if got, err := fetch(t, trusting, "http://"+r.HTTP); err != nil || got != "hello from example.comBearer first" {
		t.Errorf("%q, %v", got, err)
	}
	seen := page.Await(`"leg":"client"`, `"leg":"origin"`, `"example.com"`, `uthorization"`) // of HTTP/2, or of HTTP/1.1
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	if seen += page.AwaitEnd(); strings.Contains(seen, "Bearer first") {
		t.Errorf("the page has the secret:\n%s", seen)
	}
	requests := map[string]int{} // those of both legs
	conns := map[uint64]capture.Connection{}
	sum, err := capture.ReadFile(opts.Watch.Record, capture.Options{}, func(e capture.Event) {
		switch e := e.(type) {
		case *capture.Connection:
			conns[e.ID] = *e
		case *capture.Request:
			if c := conns[e.Conn]; e.Method == "GET" && e.Status == http.StatusOK {
				requests[fmt.Sprintf("in a tunnel: %v, problem: %q", c.Parent != 0, c.Problem)]++
			}
		}
	})
	want := map[string]int{`in a tunnel: true, problem: ""`: 1, `in a tunnel: false, problem: ""`: 1}
	if err != nil || !maps.Equal(requests, want) || sum.KeysUsed != 2 || len(sum.Problems) > 0 {
		t.Errorf("the capture has %v, %v\n%+v", requests, err, sum)
	}
	diffOfLegs(t, opts.Watch.Record)
}

// diffOfLegs checks that the two legs in one recorded file are compared.
func diffOfLegs(t *testing.T, file string) {
	t.Helper()
	var out bytes.Buffer
	err := inspect.Run(t.Context(), inspect.Options{
		Files: []string{file}, Diff: true, Out: &out, Err: io.Discard, Getenv: func(string) string { return "" },
	})
	var status *inspect.StatusError
	if !errors.As(err, &status) || status.Code != 1 ||
		!strings.Contains(out.String(), "+ request authorization: Bearer") ||
		!strings.Contains(out.String(), "\n1 request in A, 1 request in B: 1 pair, 0 of them the same\n") {
		t.Errorf("sluice inspect --diff: %v\n%s", err, &out)
	}
}
