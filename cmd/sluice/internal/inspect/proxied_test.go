package inspect

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/server"
)

// proxied records both legs of a proxy that adds, removes, changes and reorders fields: each in a
// file, and both in one.
func proxied(t *testing.T) (before, behind, both []byte) {
	t.Helper()
	var files [3]bytes.Buffer
	var writers [3]*capture.PcapWriter
	for i := range files {
		var err error
		if writers[i], err = capture.NewPcapWriter(&files[i]); err != nil {
			t.Fatal(err)
		}
	}
	origin := serveClear(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Origin", "yes")
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	target, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	proxy := serveClear(t, &httputil.ReverseProxy{
		Transport: recording(writers[1], writers[2]),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
			r.Out.Header.Del("X-Gone")
			r.Out.Header.Set("X-Changed", "by the proxy")
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set("Via", "1.1 proxy")
			return nil
		},
	})
	tr := recording(writers[0], writers[2])
	for _, path := range []string{"/one", "/two"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, proxy+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Gone", "1")
		req.Header.Set("X-Changed", "by the client")
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	for _, w := range writers {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return files[0].Bytes(), files[1].Bytes(), files[2].Bytes()
}

// recording is a transport whose connections both record.
func recording(a, b *capture.PcapWriter) *client.Transport {
	tr := &client.Transport{DialContext: a.WrapDial(b.WrapDial(nil)), Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	return tr
}

// serveClear serves h until the test ends, and returns its URL.
func serveClear(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &server.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		<-ended
	})
	return "http://" + l.Addr().String()
}

// What a proxy has changed is found in two captures, and in one of both legs.
func TestDiffOfProxy(t *testing.T) {
	before, behind, both := proxied(t)
	a, b, c := written(t, before), written(t, behind), written(t, both)
	for name, o := range map[string]Options{
		"two files":           {Files: []string{a, b}},
		"one file":            {Files: []string{c}, Conns: []string{"1", "2"}},
		"legs that are found": {Files: []string{c}},
	} {
		o.Diff = true
		r := inspectIt(t, o)
		for _, want := range []string{
			"~ request x-changed: by the client → by the proxy\n", "- request x-gone: 1\n",
			"+ request x-forwarded-for: 127.0.0.1\n", "+ request x-forwarded-proto: http\n", "- response via: 1.1 proxy\n",
			"\n2 requests in A, 2 requests in B: 2 pairs, 0 of them the same\n", "      time: A ", "#1 stream 3, B ",
		} {
			if !strings.Contains(r.out, want) {
				t.Errorf("%s: the output lacks %q:\n%s", name, want, r.out)
			}
		}
		if strings.Contains(r.out, "x-origin") || r.status != 1 {
			t.Errorf("%s: exit status %d %s:\n%s", name, r.status, r.err, r.out)
		}
	}
	if r := inspectIt(t, Options{Diff: true, Files: []string{c}, Conns: []string{"1", "2", "3"}}); r.status != 2 {
		t.Errorf("three connections: exit status %d, %s", r.status, r.out)
	}
}
