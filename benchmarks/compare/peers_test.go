package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
	"github.com/sluice-go/sluice/client"
)

// Every server that needs no building gives the answers of package peerserver, in clear
// and over TLS.
func TestServers(t *testing.T) {
	needPrograms(t, "h2load")
	l, err := newRunner(config{serverCPU: -1, loadCPU: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	for _, p := range peers {
		for _, secure := range []bool{false, true} {
			if p.start == nil || p.build != nil || secure && p.noTLS {
				continue
			}
			t.Run(fmt.Sprintf("%s/tls=%v", p.Name, secure), func(t *testing.T) {
				if p.missing != nil && p.missing() != nil {
					needPrograms(t, p.Name) // says what is missing, and fails in CI
				}
				srv, err := p.start(t.Context(), l, need{TLS: secure, MaxStreams: 250})
				if err != nil {
					t.Fatal(err)
				}
				defer srv.stop()
				askAll(t, p, l, srv, secure)
				if srv.what == "" {
					t.Error("it does not say what it is")
				}
			})
		}
	}
}

// askAll asks for everything that the peer says it has.
func askAll(t *testing.T, p peer, l *runner, srv *running, secure bool) {
	t.Helper()
	var protocols http.Protocols
	protocols.SetHTTP2(secure)
	protocols.SetUnencryptedHTTP2(!secure)
	cert, err := x509.ParseCertificate(l.root)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	tr := &client.Transport{Protocols: &protocols, TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer tr.CloseIdleConnections()
	for _, path := range p.paths {
		method, body, want := http.MethodGet, io.Reader(http.NoBody), int64(len(peerserver.Answer))
		switch path {
		case peerserver.Upload:
			method, body = http.MethodPost, strings.NewReader(strings.Repeat("x", 1<<20))
		case peerserver.MiB:
			want = 1 << 20
		case peerserver.TenMiB:
			want = 10 << 20
		}
		req, err := http.NewRequestWithContext(t.Context(), method, load{TLS: secure, Path: path}.url(srv.addr), body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		size, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 || size != want {
			t.Errorf("%s: %s %s, %d octets, %v; want %d octets", path, resp.Proto, resp.Status, size, err, want)
		}
		for _, f := range peerserver.FieldList() {
			if path == peerserver.Fields && resp.Header.Get(f.Name) != f.Value {
				t.Errorf("%s: %s: %q", path, f.Name, resp.Header.Get(f.Name))
			}
		}
	}
}
