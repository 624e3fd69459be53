//go:build !nethttpomithttp2

package client

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// calls records which hooks are called.
type calls struct {
	mu   sync.Mutex
	list []string
}

func (c *calls) add(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, s)
}

func (c *calls) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { c.add("GetConn") },
		GotConn: func(i httptrace.GotConnInfo) {
			c.add(map[bool]string{false: "GotConn", true: "GotConn reused"}[i.Reused])
		},
		PutIdleConn:          func(error) { c.add("PutIdleConn") },
		GotFirstResponseByte: func() { c.add("GotFirstResponseByte") },
		ConnectStart:         func(string, string) { c.add("ConnectStart") },
		ConnectDone:          func(string, string, error) { c.add("ConnectDone") },
		TLSHandshakeStart:    func() { c.add("TLSHandshakeStart") },
		TLSHandshakeDone:     func(tls.ConnectionState, error) { c.add("TLSHandshakeDone") },
		WroteHeaders:         func() { c.add("WroteHeaders") },
	}
}

// Hooks of a request over HTTP/1.1 are called as often as by an http.Transport, and the response is
// that of the request that was given. Whether net/http keeps a connection is a matter of time: see
// wantOneConnection.
func TestHTTP1HooksBesideNetHTTP(t *testing.T) {
	s := newALPNServer(t, http.HandlerFunc(protoHandler))
	var p http.Protocols
	p.SetHTTP1(true)
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return (&tls.Dialer{Config: s.cfg}).DialContext(ctx, network, addr)
	}
	pairs := map[string]func() [2]http.RoundTripper{
		"": func() [2]http.RoundTripper {
			return [2]http.RoundTripper{
				&http.Transport{TLSClientConfig: s.cfg.Clone(), Protocols: &p},
				&Transport{TLSClientConfig: s.cfg, Proxy: noProxy},
			}
		},
		"HTTP/1.1 alone": func() [2]http.RoundTripper {
			return [2]http.RoundTripper{
				&http.Transport{TLSClientConfig: s.cfg.Clone(), Protocols: &p},
				&Transport{TLSClientConfig: s.cfg, Proxy: noProxy, Protocols: &p},
			}
		},
		"DialTLSContext": func() [2]http.RoundTripper {
			return [2]http.RoundTripper{
				&http.Transport{DialTLSContext: dial, Protocols: &p},
				&Transport{DialTLSContext: dial, Proxy: noProxy},
			}
		},
	}
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			diff := ""
			for attempt := 0; attempt == 0 || diff != "" && attempt < 3; attempt++ {
				var got [2][]string
				for i, rt := range pair() {
					for range 2 {
						got[i] = append(got[i], hooksOf(t, rt, s.URL)...)
					}
					rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
				}
				diff = cmp.Diff(got[0], got[1])
			}
			if diff != "" {
				t.Error("http.Transport and ours (+):\n", diff)
			}
		})
	}
}

func hooksOf(t *testing.T, rt http.RoundTripper, url string) []string {
	t.Helper()
	var c calls
	trace, wrote := c.trace(), make(chan struct{})
	trace.WroteRequest = func(httptrace.WroteRequestInfo) {
		c.add("WroteRequest")
		close(wrote)
	}
	req := newRequest(t, "POST", url, streamOnly{strings.NewReader("x")})
	req = req.WithContext(httptrace.WithClientTrace(t.Context(), trace))
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	<-wrote // by a goroutine of its own, and the connection is kept only if that is soon
	if resp.Request != req {
		c.add("another request")
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.list)
	return c.list
}
