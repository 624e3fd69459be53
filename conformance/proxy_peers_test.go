package conformance

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// curl fetches pages through the proxy in every way that it knows.
func TestProxyCurl(t *testing.T) {
	c := requireCurl(t)
	f := startProxy(t, &tunnel.Proxy{})
	plain, secure := []string{"-x", "http://" + f.http}, []string{"-x", "https://" + f.https, "--proxy-cacert", f.cert}
	for _, tt := range []struct {
		name    string
		flags   []string
		url     string
		records []string
		proto   string
	}{
		{"https by a tunnel", plain, f.secure, []string{"200 HTTP/1.1 tunnel"}, "HTTP/2.0"},
		{"https by a tunnel over TLS", secure, f.secure, []string{"200 HTTP/1.1 tunnel"}, "HTTP/2.0"},
		{"http", plain, f.plain, []string{"200 HTTP/1.1 request"}, "HTTP/1.1"},
		{"http over TLS", secure, f.plain, []string{"200 HTTP/1.1 request"}, "HTTP/1.1"},
		{"http by a tunnel", append(plain, "--proxytunnel"), f.plain, []string{"200 HTTP/1.1 tunnel"}, "HTTP/1.1"},
		{
			"h2c by a tunnel", append(plain, "--proxytunnel", "--http2-prior-knowledge"), f.plain,
			[]string{"200 HTTP/1.1 tunnel"},
			"HTTP/2.0",
		},
		{"CONNECT in HTTP/1.0", []string{"--proxy1.0", f.http}, f.secure, []string{"200 HTTP/1.1 tunnel"}, "HTTP/2.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body, verbose := c.throughProxy(t, f, append(tt.flags, tt.url+"/")...)
			if want := "GET " + tt.proto + " " + strings.SplitN(tt.url, "//", 2)[1]; body != want {
				t.Errorf("%q, want %q\n%s", body, want, clip(verbose))
			}
			f.want(t, tt.records...)
		})
	}
}

// throughProxy is run with a proxy, and without the environment's exceptions.
func (c curl) throughProxy(t *testing.T, f *forwardProxy, args ...string) (body, verbose string) {
	t.Helper()
	args = append([]string{"-q", "-sS", "-v", "--cacert", f.cert, "--noproxy", "", "--max-time", "200"}, args...)
	r := runPeer(t, c.path, args...)
	return r.stdout, r.stderr
}

// curl is asked for a user, with Basic and Digest, and finds what went wrong in the answer.
func TestProxyCurlUsers(t *testing.T) {
	c := requireCurl(t)
	digest := &tunnel.DigestFile{Path: filepath.Join(t.TempDir(), "digest.txt")}
	if err := os.WriteFile(digest.Path, []byte(tunnel.DigestHash("anna", "sluice", "secret")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := digest.Load(); err != nil {
		t.Fatal(err)
	}
	basic := tunnel.Basic("sluice", tunnel.StaticUsers(map[string]string{"anna": "secret"}))
	f := startProxy(t, &tunnel.Proxy{Auth: tunnel.AnyOf(digest, basic)})
	const ok, refused = "200 HTTP/1.1 tunnel", "407 HTTP/1.1 tunnel"
	for _, tt := range []struct {
		name    string
		flags   []string
		records []string
		conns   string // how many connections curl has made to the proxy
	}{
		{"right", []string{"--proxy-user", "anna:secret"}, []string{ok}, "#0"},
		{"wrong", []string{"--proxy-user", "anna:guess"}, []string{refused}, ""},
		{"none", nil, []string{refused}, ""},
		{"any", []string{"--proxy-anyauth", "--proxy-user", "anna:secret"}, []string{refused, ok}, "#0"},
		{"digest", []string{"--proxy-digest", "--proxy-user", "anna:secret"}, []string{refused, ok}, "#0"},
		{"wrong digest", []string{"--proxy-digest", "--proxy-user", "anna:guess"}, []string{refused, refused}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, proxy := range []string{"http://" + f.http, "https://" + f.https} {
				before := f.proxyConns.accepted.Load()
				args := append([]string{"-x", proxy, "--proxy-cacert", f.cert}, tt.flags...)
				body, verbose := c.throughProxy(t, f, append(args, f.secure+"/")...)
				if tt.conns != "" != strings.HasPrefix(body, "GET HTTP/2.0 origin.test") {
					t.Errorf("%s: %q\n%s", proxy, body, clip(verbose))
				}
				f.want(t, tt.records...)
				if strings.Contains(verbose, "< HTTP/1.1 407") != (tt.records[0] == refused) {
					t.Errorf("%s:\n%s", proxy, clip(verbose))
				}
				// A new connection for the second attempt would end NTLM, and costs.
				n := f.proxyConns.accepted.Load() - before
				if n > 1 || strings.HasPrefix(proxy, "https") && n < 1 {
					t.Errorf("%s: %d connections", proxy, n)
				}
			}
		})
	}
}

// curl shows its certificate to the proxy, which takes the user from it.
func TestProxyCurlClientCertificate(t *testing.T) {
	c := requireCurl(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "anna"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		IsCA:        true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := writeCertificate(t, &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	roots := x509.NewCertPool()
	if template, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	roots.AddCert(template)
	f := startProxy(t, &tunnel.Proxy{Auth: &tunnel.ClientCert{}}, func(s *server.Server) {
		if s.TLSConfig != nil {
			s.TLSConfig.ClientAuth, s.TLSConfig.ClientCAs = tls.VerifyClientCertIfGiven, roots
		}
	})
	args := []string{"-x", "https://" + f.https, "--proxy-cacert", f.cert, f.secure + "/"}
	if body, verbose := c.throughProxy(t, f, args...); body != "" {
		t.Errorf("without a certificate: %q\n%s", body, clip(verbose))
	}
	f.want(t, "403 HTTP/1.1 tunnel")
	args = append(args, "--proxy-cert", certFile, "--proxy-key", keyFile)
	if body, verbose := c.throughProxy(t, f, args...); !strings.HasPrefix(body, "GET HTTP/2.0 origin.test") {
		t.Errorf("with a certificate: %q\n%s", body, clip(verbose))
	}
	if r := <-f.records; r.Status != http.StatusOK || r.User != "anna" {
		t.Errorf("%+v", r)
	}
}

// browseThrough loads a page in Chromium through a proxy and returns what it shows. home has the
// NSS database with the certificates that it trusts.
func browseThrough(t *testing.T, home, proxy, url string) peerRun {
	t.Helper()
	chromium := requirePeer(t, "chromium", "chromium-browser", "google-chrome")
	return runPeer(t, "/usr/bin/env", "HOME="+home, chromium, "--headless", "--no-sandbox", "--disable-gpu",
		"--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-dev-shm-usage", "--proxy-server="+proxy, "--proxy-bypass-list=<-loopback>",
		"--user-data-dir="+filepath.Join(home, "data"), "--dump-dom", url)
}

// trustInNSS makes a home directory whose NSS database has a certificate as a CA, for Chromium,
// which takes no other certificate for a proxy.
func trustInNSS(t *testing.T, certFile string) (home string) {
	t.Helper()
	certutil := requirePeer(t, "certutil")
	home = t.TempDir()
	db := filepath.Join(home, ".pki", "nssdb")
	if err := os.MkdirAll(db, 0o700); err != nil {
		t.Fatal(err)
	}
	mustRunPeer(t, certutil, "-d", "sql:"+db, "-N", "--empty-password")
	mustRunPeer(t, certutil, "-d", "sql:"+db, "-A", "-t", "C,,", "-n", "test", "-i", certFile)
	return home
}

// Chromium opens its tunnels with CONNECT over HTTP/2, on the port on which Go's http.Transport
// writes CONNECT in HTTP/1.1 though ALPN has chosen h2.
func TestProxyChromium(t *testing.T) {
	f := startProxy(t, &tunnel.Proxy{})
	home := trustInNSS(t, f.cert)
	r := browseThrough(t, home, "https://"+f.https, f.secure+"/page")
	if want := "GET HTTP/2.0 origin.test"; !strings.Contains(r.stdout, want) {
		t.Fatalf("the page lacks %q: %v\n%s\nstderr:\n%s", want, r.err, clip(r.stdout), clip(r.stderr))
	}
	deadline := time.After(peerTimeout)
	for {
		select {
		case rec := <-f.records:
			if rec.Target != strings.TrimPrefix(f.secure, "https://") {
				continue // of the browser's own
			}
			if rec.Proto != "HTTP/2.0" || rec.Status != http.StatusOK || rec.Kind != tunnel.KindTunnel {
				t.Errorf("%+v", rec)
			}
			return
		case <-deadline:
			t.Fatal("the tunnel has no record")
		}
	}
}

// An unchanged http.Transport fetches a page on TLS through both ports of the proxy: ALPN chooses
// h2 with the one on TLS, and it goes on in HTTP/1.1. Pages in clear it does not ask a proxy on TLS
// for, with which ALPN has chosen h2: it fails by itself, before it has sent anything.
func TestProxyNetHTTP(t *testing.T) {
	f := startProxy(t, &tunnel.Proxy{})
	for _, proxy := range []string{"http://" + f.http, "https://" + f.https} {
		u, err := url.Parse(proxy)
		if err != nil {
			t.Fatal(err)
		}
		tr := http.DefaultTransport.(*http.Transport).Clone()
		tr.Proxy = http.ProxyURL(u)
		tr.TLSClientConfig = &tls.Config{RootCAs: f.roots}
		pages := []string{f.secure, f.plain}
		if u.Scheme == "https" {
			pages = pages[:1]
		}
		getThrough(t, f, tr, proxy, "HTTP/1.1", pages...)
	}
}

// client.Transport opens its tunnels over HTTP/2 with a proxy by its URL, where that speaks it.
func TestProxyClient(t *testing.T) {
	f := startProxy(t, &tunnel.Proxy{})
	for proxy, proto := range map[string]string{
		"http://" + f.http: "HTTP/1.1", "https://" + f.https: "HTTP/2.0", "h2c://" + f.http: "HTTP/2.0",
	} {
		u, err := url.Parse(proxy)
		if err != nil {
			t.Fatal(err)
		}
		tr := &client.Transport{
			Proxy:           func(*http.Request) (*url.URL, error) { return u, nil },
			TLSClientConfig: &tls.Config{RootCAs: f.roots},
		}
		getThrough(t, f, tr, proxy, proto, f.secure, f.plain)
	}
}

// getThrough gets pages by tr, which opens tunnels in proto.
func getThrough(t *testing.T, f *forwardProxy, tr http.RoundTripper, proxy, proto string, pages ...string) {
	t.Helper()
	for _, page := range pages {
		ctx, cancel := context.WithTimeout(t.Context(), peerTimeout)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, page+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Errorf("%s through %s: %v", page, proxy, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), "GET HTTP/") {
			t.Errorf("%s through %s: %s %q, %v", page, proxy, resp.Status, body, err)
		}
	}
	if c, ok := tr.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections() // which ends the tunnel
	}
	for range pages {
		select {
		case rec := <-f.records:
			if rec.Kind == tunnel.KindTunnel && rec.Proto != proto || rec.Status != http.StatusOK {
				t.Errorf("through %s: %+v, want %s", proxy, rec, proto)
			}
		case <-time.After(peerTimeout):
			t.Fatalf("through %s: no record", proxy)
		}
	}
}

// node opens tunnels with its modules http, https and http2.
func TestProxyNode(t *testing.T) {
	node := requirePeer(t, "node", "nodejs")
	f := startProxy(t, &tunnel.Proxy{})
	for _, tt := range []struct{ how, proxy, record string }{
		{"http", "http://" + f.http, "200 HTTP/1.1 tunnel"},
		{"http", "https://" + f.https, "200 HTTP/1.1 tunnel"},
		{"http2", "http://" + f.http, "200 HTTP/2.0 tunnel"},
		{"http2", "https://" + f.https, "200 HTTP/2.0 tunnel"},
	} {
		out := mustRunPeer(t, node, "testdata/proxy.mjs", tt.how, tt.proxy, f.secure, f.cert).stdout
		var got struct {
			Status int
			Body   string
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("node printed %q: %v", clip(out), err)
		}
		if got.Status != 200 || !strings.HasPrefix(got.Body, "GET HTTP/1.1 origin.test") {
			t.Errorf("%s through %s: %+v", tt.how, tt.proxy, got)
		}
		f.want(t, tt.record)
	}
}
