package proxy

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	page := watchtest.Open(t, r.out.String())
	trusting := &origin{addr: o.addr, roots: x509.NewCertPool()}
	trusting.roots.AddCert(ca.Certificate())
	if got, err := fetch(t, trusting, "http://"+r.http); err != nil || got != "hello from example.comBearer first" {
		t.Errorf("%q, %v", got, err)
	}
	seen := page.Await(`"leg":"client"`, `"leg":"origin"`, `"example.com"`, `"authorization"`)
	if err := r.stopNow(); err != nil {
		t.Error(err)
	}
	if seen += page.AwaitEnd(); strings.Contains(seen, "Bearer first") {
		t.Errorf("the page has the secret:\n%s", seen)
	}
	capture, err := os.ReadFile(opts.Watch.Record)
	if err != nil || strings.Count(string(capture), "CLIENT_TRAFFIC_SECRET_0") != 2 {
		t.Errorf("the capture has %d octets, and not the keys of two connections: %v", len(capture), err)
	}
}
