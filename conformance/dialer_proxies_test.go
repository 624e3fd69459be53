package conformance

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// netHTTPProxy is a proxy for CONNECT as one writes it with net/http, over HTTP/1.1 by Hijack and
// over HTTP/2 by the request's Body.
func netHTTPProxy(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "a proxy for CONNECT", http.StatusMethodNotAllowed)
		return
	}
	far, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.Header().Set("Proxy-Status", "nethttp; error=connection_refused")
		http.Error(w, "cannot reach it", http.StatusBadGateway)
		return
	}
	defer far.Close()
	var in io.Reader = r.Body
	var out io.Writer = flushWriter{w}
	end := func() {}
	if r.ProtoMajor == 1 {
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		io.WriteString(nc, "HTTP/1.1 200 Connection established\r\n\r\n")
		in, out = rw, nc
		end = func() {
			if c, ok := nc.(interface{ CloseWrite() error }); ok {
				c.CloseWrite()
			}
		}
	} else {
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
	}
	var up sync.WaitGroup
	up.Go(func() {
		io.Copy(far, in)
		far.(*net.TCPConn).CloseWrite()
	})
	io.Copy(out, far)
	end()
	if r.ProtoMajor == 1 { // over HTTP/2 the handler ends the direction by its return
		up.Wait()
	}
}

type flushWriter struct{ w http.ResponseWriter }

func (f flushWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = http.NewResponseController(f.w).Flush()
	}
	return n, err
}

// startNetHTTPProxy serves netHTTPProxy, over TLS where secure.
func startNetHTTPProxy(t *testing.T, secure, http2 bool) *url.URL {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(netHTTPProxy))
	s.EnableHTTP2 = http2
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

const haproxyTunnelConfig = `
global
	nbthread 1
defaults
	mode http
	timeout connect 60s
	timeout client 60s
	timeout server 60s
	timeout tunnel 60s
frontend front
	bind 127.0.0.1:%d
	bind 127.0.0.1:%d ssl crt %s alpn h2,http/1.1
	bind 127.0.0.1:%d proto h2
	default_backend back
backend back
	server proxy %s
`

// startHAProxyTunnels has HAProxy pass CONNECT on to a proxy of net/http, and returns the URLs
// under which it speaks HTTP/1.1, TLS, and HTTP/2 without TLS.
func startHAProxyTunnels(t *testing.T) (clear, secure, h2c string) {
	t.Helper()
	path := requirePeer(t, "haproxy", "/usr/sbin/haproxy")
	s := prepare(t)
	cert, err := os.ReadFile(s.cert)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(s.key)
	if err != nil {
		t.Fatal(err)
	}
	pair := filepath.Join(s.dir, "pair.pem")
	if err := os.WriteFile(pair, append(cert, key...), 0o600); err != nil {
		t.Fatal(err)
	}
	a, b, c := freePort(t), freePort(t), freePort(t)
	back := startNetHTTPProxy(t, false, false).Host
	s.run(t, path, "-db", "-f", s.config(t, fmt.Sprintf(haproxyTunnelConfig, a, b, pair, c, back)))
	return "http://" + await(t, a), "https://" + await(t, b), "h2c://" + await(t, c)
}

// startNghttpxProxy has nghttpx be an HTTP/2 proxy in front of a proxy of net/http.
func startNghttpxProxy(t *testing.T) string {
	t.Helper()
	path := requirePeer(t, "nghttpx", "/usr/sbin/nghttpx")
	s := prepare(t)
	port := freePort(t)
	back := strings.Replace(startNetHTTPProxy(t, false, false).Host, ":", ",", 1)
	s.run(t, path, "--conf="+s.config(t, ""), "--http2-proxy", fmt.Sprintf("--frontend=127.0.0.1,%d", port),
		"--backend="+back, "--workers=1", s.key, s.cert)
	return "https://" + await(t, port)
}

// startSquid runs squid with more lines of configuration.
func startSquid(t *testing.T, more func(dir string) string) (clear, secure string) {
	t.Helper()
	path := requirePeer(t, "squid", "/usr/sbin/squid")
	s := prepare(t)
	for _, dir := range []string{s.dir, filepath.Dir(s.dir)} { // squid started by root becomes another user
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // nothing in it is secret
			t.Fatal(err)
		}
	}
	a, b := freePort(t), freePort(t)
	lines := ""
	if more != nil {
		lines = more(s.dir)
	} else {
		lines = "http_access allow all\n"
	}
	config := fmt.Sprintf(`
http_port 127.0.0.1:%d
https_port 127.0.0.1:%d tls-cert=%s tls-key=%s
pid_filename none
cache deny all
cache_effective_user nobody
access_log none
cache_log /dev/null
coredump_dir %s
shutdown_lifetime 0 seconds
dns_nameservers 127.0.0.1
half_closed_clients on
%s`, a, b, s.cert, s.key, s.dir, lines)
	// The names of its shared memory begin with that of the service. It is killed, and leaves them.
	service := fmt.Sprintf("sluice%dtest", a)
	s.run(t, path, "-N", "-d", "1", "-n", service, "-f", s.config(t, config))
	t.Cleanup(func() {
		left, _ := filepath.Glob("/dev/shm/" + service + "-*")
		for _, name := range left {
			os.Remove(name)
		}
	})
	return "http://" + await(t, a), "https://" + await(t, b)
}
