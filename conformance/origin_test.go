package conformance

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/server"
)

// named has a server say for which origins it answers, and where else one is served.
func named(srv *server.Server) {
	srv.Origins = []string{"https://localhost:8443", "https://b.example"}
	srv.AltServices = map[string]string{"https://b.example": `h2="alt.example:443"`}
}

// Node has events for ORIGIN and ALTSVC frames, and nghttp prints them.
func TestServerOrigins(t *testing.T) {
	ls := startServer(t, true, testHandler(), named)
	t.Run("node", func(t *testing.T) {
		want := result{
			"origins":  []any{"https://localhost:8443", "https://b.example"},
			"services": []any{[]any{"https://b.example", `h2="alt.example:443"`}},
		}
		if diff := cmp.Diff(want, runNode(t, ls, "origins")); diff != "" {
			t.Errorf("node was told something else (-want +got):\n%s", diff)
		}
	})
	t.Run("nghttp", func(t *testing.T) {
		out := runNghttp(t, "-v", ls.URL+"/hello")
		wantContains(t, "nghttp -v", out, "recv ORIGIN frame", "[https://localhost:8443]", "[https://b.example]",
			"recv ALTSVC frame", `[h2="alt.example:443"]`)
	})
	t.Run("cleartext", func(t *testing.T) {
		if out := runNghttp(t, "-v", startServer(t, false, testHandler(), named).URL+"/hello"); strings.Contains(
			out,
			"recv ORIGIN",
		) ||
			strings.Contains(out, "recv ALTSVC") {
			t.Errorf("named without TLS:\n%s", clip(out))
		}
	})
}

// One connection to node serves the two names of the host, since node has said so and its
// certificate has both.
func TestClientCoalesces(t *testing.T) {
	s := prepare(t)
	line, err := bufio.NewReader(s.run(t, requirePeer(t, "node", "nodejs"), "testdata/server.mjs", s.key, s.cert)).
		ReadString('\n')
	if err != nil {
		t.Fatalf("node did not print its port: %v", err)
	}
	port := strings.TrimSpace(line)
	pem, err := os.ReadFile(s.cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)

	var mu sync.Mutex
	var dials, services []string
	tr := newTransport(t, func(tr *client.Transport) {
		tr.Coalesce = true
		tr.TLSClientConfig = &tls.Config{RootCAs: roots}
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			mu.Lock()
			dials = append(dials, addr)
			mu.Unlock()
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
		}
		tr.AltSvcHandler = func(a client.AltSvc) {
			mu.Lock()
			services = append(services, fmt.Sprint(a.Origin, " ", a.Value))
			mu.Unlock()
		}
	})
	for _, url := range []string{"https://127.0.0.1:" + port + "/origins", "https://localhost:" + port + "/hello"} {
		if resp, b := do(t, tr, newRequest(t, "GET", url, nil)); resp.StatusCode != http.StatusOK || string(b) != helloBody {
			t.Errorf("%s: %s, %q", url, resp.Status, b)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"127.0.0.1:" + port}; !slices.Equal(dials, want) {
		t.Errorf("dialed %q, want %q", dials, want)
	}
	origin := "https://127.0.0.1:" + port
	if want := []string{origin + ` h2="alt.example:443"`, origin + ` h2="other.example:443"`}; !slices.Equal(
		services,
		want,
	) {
		t.Errorf("told of %q, want %q", services, want)
	}
}
