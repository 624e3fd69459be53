package conformance

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// authProxy is a proxy that lets in anna with the password "open: sesame", by Basic and by Digest.
type authProxy struct {
	plain, secure string // URLs
	mu            sync.Mutex
	records       []*tunnel.Record // guarded by mu
}

func startAuthProxy(t *testing.T) *authProxy {
	t.Helper()
	digest := &tunnel.DigestFile{Path: filepath.Join(t.TempDir(), "digest")}
	line := tunnel.DigestHash("anna", "sluice", "open: sesame") + "\n"
	if err := os.WriteFile(digest.Path, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := digest.Load(); err != nil {
		t.Fatal(err)
	}
	basic := tunnel.Basic("sluice", tunnel.StaticUsers(map[string]string{"anna": "open: sesame"}))
	ports, err := tunnel.ParsePorts("any")
	if err != nil {
		t.Fatal(err)
	}
	a := &authProxy{}
	p := &tunnel.Proxy{
		Policy: &tunnel.Rules{AllowPrivate: true, Ports: ports}, Auth: tunnel.AnyOf(digest, basic),
		Audit: func(r *tunnel.Record) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.records = append(a.records, r)
		},
	}
	cert := httptestCertificate(t)
	srv := &server.Server{Handler: p, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}
	srv.IgnoreALPN = true
	plain, secure := listenLocal(t), listenLocal(t)
	a.plain, a.secure = "http://"+plain.Addr().String(), "https://"+secure.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(plain) })
	wg.Go(func() { _ = srv.ServeTLS(secure, "", "") })
	t.Cleanup(func() {
		_ = srv.Close()
		_ = p.Close()
		wg.Wait()
	})
	return a
}

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func httptestCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	ts := httptest.NewTLSServer(nil)
	defer ts.Close()
	return ts.TLS.Certificates[0]
}

// curl gets through with the right password by each scheme, gets 407 with a wrong one, and uses one
// connection for the challenge and the answer; the origin sees no credentials.
func TestCurlProxyAuth(t *testing.T) {
	c := requireCurl(t)
	proxy := startAuthProxy(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "" {
			t.Error("the origin was sent Proxy-Authorization")
		}
		b, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, "origin "+r.URL.RequestURI()+string(b))
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()

	for _, x := range []string{proxy.plain, proxy.secure} {
		for _, origin := range []string{plain.URL, secure.URL} {
			for _, test := range []struct {
				flags  string
				user   string
				status string
			}{
				{"--proxy-basic", "anna:open: sesame", "200"},
				{"--proxy-digest", "anna:open: sesame", "200"},
				{"--proxy-anyauth", "anna:open: sesame", "200"},
				{"--proxy-basic", "anna:wrong", "407"},
				{"--proxy-digest", "anna:wrong", "407"},
				{"--proxy-anyauth", "anna:wrong", "407"},
				{"--proxy-anyauth", "carl:open: sesame", "407"},
				{"--proxy-basic", "", "407"},
			} {
				t.Run(strings.Join([]string{x[:5], origin[:5], test.flags, test.user}, " "), func(t *testing.T) {
					args := []string{
						"-q", "-sS", "-v", "-k", "--proxy-insecure", "--noproxy", "", "--max-time", "200", "-x", x,
						test.flags, "-w", "\n%{http_code} %{http_connect} %{num_connects}", origin + "/a?b=1",
					}
					if test.user != "" {
						args = append(args, "--proxy-user", test.user)
					}
					r := runPeer(t, c.path, args...)
					checkCurlAuth(t, r, test.status, origin == secure.URL)
				})
			}
		}
	}
	checkAuthRecords(t, proxy)
}

// checkCurlAuth checks what curl has seen. With a tunnel, the status is that of CONNECT.
func checkCurlAuth(t *testing.T, r peerRun, status string, tunnelled bool) {
	t.Helper()
	body, codes, _ := strings.Cut(r.stdout, "\n")
	if i := strings.LastIndex(r.stdout, "\n"); i >= 0 {
		body, codes = r.stdout[:i], r.stdout[i+1:]
	}
	f := strings.Fields(codes)
	if len(f) != 3 {
		t.Fatalf("curl printed %q\n%s", r.stdout, clip(r.stderr))
	}
	got := f[0]
	if tunnelled {
		got = f[1]
	}
	conns, err := strconv.Atoi(f[2])
	if got != status || (status == "200") != (body == "origin /a?b=1") || err != nil || conns != 1 {
		t.Errorf("curl printed %q; want the status %s over 1 connection\n%s", r.stdout, status, clip(r.stderr))
	}
}

// checkAuthRecords checks that the audit has the user where there was one, and no password.
func checkAuthRecords(t *testing.T, proxy *authProxy) {
	t.Helper()
	proxy.mu.Lock()
	defer proxy.mu.Unlock()
	for _, r := range proxy.records {
		if (r.Status == http.StatusProxyAuthRequired) != (r.User == "") || r.User != "" && r.User != "anna" {
			t.Errorf("record %+v", r)
		}
	}
	if len(proxy.records) < 32 {
		t.Errorf("%d records", len(proxy.records))
	}
}
