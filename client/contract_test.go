//go:build !nethttpomithttp2

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The ways to send a request that are to look alike.
var kinds = []string{"net-http", "transport", "configure", "client-conn"}

// newKind returns a RoundTripper of a kind for a server, and a function that ends it.
func newKind(t *testing.T, kind string, s *testServer, adjust func(*http.Transport)) (http.RoundTripper, func()) {
	t.Helper()
	t1 := &http.Transport{DialContext: s.l.Dial, Protocols: h2cOnly()}
	if adjust != nil {
		adjust(t1)
	}
	own := &Transport{
		DialContext: s.l.Dial, Protocols: h2cOnly(), Proxy: noProxy,
		DisableCompression: t1.DisableCompression, ResponseHeaderTimeout: t1.ResponseHeaderTimeout,
		ExpectContinueTimeout: t1.ExpectContinueTimeout, MaxResponseHeaderBytes: t1.MaxResponseHeaderBytes,
	}
	switch kind {
	case "transport":
		return own, own.CloseIdleConnections
	case "configure":
		if _, err := Configure(t1); err != nil {
			t.Fatal(err)
		}
	case "client-conn":
		nc, err := s.l.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		cc, err := own.NewClientConn(nc)
		if err != nil {
			t.Fatal(err)
		}
		return cc, func() { _ = cc.Close(); <-cc.Done() }
	}
	return t1, t1.CloseIdleConnections
}

// A script does something with a RoundTripper and records what can be seen.
type script struct {
	name    string
	handler http.HandlerFunc
	adjust  func(*http.Transport)
	do      func(n *transcript, rt http.RoundTripper)
}

// transcript is what a script has seen, line by line.
type transcript struct {
	mu   sync.Mutex
	list []string
}

func (n *transcript) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, fmt.Sprintf(format, args...))
}

// response records all of a response.
func (n *transcript) response(resp *http.Response, err error) {
	if err != nil {
		n.error("RoundTrip", err)
		return
	}
	n.add(
		"%s %s %d.%d length %d uncompressed %v",
		resp.Status,
		resp.Proto,
		resp.ProtoMajor,
		resp.ProtoMinor,
		resp.ContentLength,
		resp.Uncompressed,
	)
	n.header("header", resp.Header)
	n.header("announced", resp.Trailer)
	n.add("TransferEncoding %v, Close %v, TLS %v", resp.TransferEncoding, resp.Close, resp.TLS != nil)
	b, err := io.ReadAll(resp.Body)
	n.add("body %d %.40q", len(b), b)
	n.error("body", err)
	n.header("trailer", resp.Trailer)
	n.error("Close", resp.Body.Close())
}

func (n *transcript) header(what string, h http.Header) {
	keys := make([]string, 0, len(h))
	for k := range h {
		if k != "Date" {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	for _, k := range keys {
		n.add("%s %s: %q", what, k, h[k])
	}
}

// error records an error by what it is for its users.
func (n *transcript) error(what string, err error) {
	if err == nil {
		return
	}
	for _, known := range []error{
		context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF, http.ErrBodyReadAfterClose, errScript,
	} {
		if errors.Is(err, known) {
			n.add("%s: %v", what, known)
			return
		}
	}
	var timeout interface{ Timeout() bool }
	n.add("%s: error, timeout %v", what, errors.As(err, &timeout) && timeout.Timeout())
}

var errScript = errors.New("error of the script")

func request(method, path string, body io.Reader, pairs ...string) *http.Request {
	r, err := http.NewRequest(method, testURL+path, body)
	if err != nil {
		panic(err)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		r.Header.Add(pairs[i], pairs[i+1])
	}
	return r
}

// dump answers with the request as the server has seen it.
func dump(w http.ResponseWriter, r *http.Request) {
	n := &transcript{}
	n.add("%s %s %s %s length %d", r.Method, r.URL, r.Host, r.Proto, r.ContentLength)
	n.header("h", r.Header)
	b, err := io.ReadAll(r.Body)
	n.add("body %d %.20q %v", len(b), b, err)
	n.header("t", r.Trailer)
	_, _ = io.WriteString(w, strings.Join(n.list, "\n"))
}

// atEOF calls a function when its reader ends.
type atEOF struct {
	r    io.Reader
	done func()
}

func (r *atEOF) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err == io.EOF {
		r.done()
	}
	return n, err
}

// slowReader gives n octets, each after some time.
type slowReader struct {
	n    int
	each time.Duration
}

func (r *slowReader) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	time.Sleep(r.each)
	r.n--
	p[0] = 'x'
	return 1, nil
}

// Every script sees the same with net/http's transport and with each of ours.
func TestContract(t *testing.T) {
	for _, sc := range append(scripts, moreScripts...) {
		t.Run(sc.name, func(t *testing.T) {
			seen := map[string][]string{}
			for _, kind := range kinds {
				synctest.Test(t, func(t *testing.T) {
					s := newTestServer(t, sc.handler)
					rt, stop := newKind(t, kind, s, sc.adjust)
					n := &transcript{}
					sc.do(n, rt)
					synctest.Wait()
					seen[kind] = slices.Clone(n.list)
					stop()
					s.stop(nil)
				})
			}
			for _, kind := range kinds[1:] {
				if d := diff(seen["net-http"], seen[kind]); d != "" {
					t.Errorf("%s differs from net/http:\n%s", kind, d)
				}
			}
		})
	}
}

func diff(want, got []string) string {
	if slices.Equal(want, got) {
		return ""
	}
	var b strings.Builder
	for i := range max(len(want), len(got)) {
		w, g := "(nothing)", "(nothing)"
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if w != g {
			fmt.Fprintf(&b, "%d: want %s\n    got %s\n", i, w, g)
		}
	}
	return b.String()
}
