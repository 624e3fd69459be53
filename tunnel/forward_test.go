package tunnel

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// forwardClient returns a client that sends requests for http URLs through the proxy.
func (e *proxyEnv) forwardClient(way string) *http.Client {
	switch way {
	case overHTTP1:
		tr := &http.Transport{Proxy: e.proxyURL("http://" + e.plain)}
		e.t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr, Timeout: testTimeout}
	case overHTTPS1:
		tr := &http.Transport{Proxy: e.proxyURL("https://" + e.tls), TLSClientConfig: e.clientTLS()}
		e.t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr, Timeout: testTimeout}
	}
	// A request for the origin, sent to the proxy.
	tr := e.transport(overH2C)
	return &http.Client{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Host, r.URL.Host = r.URL.Host, e.plain
		return tr.RoundTrip(r)
	}), Timeout: testTimeout}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var forwardWays = []string{overHTTP1, overHTTPS1, overH2C}

// TestForward sends a request with content, fields for one connection, and trailers both ways, and
// looks at what arrives.
func TestForward(t *testing.T) {
	for _, way := range forwardWays {
		t.Run(way, func(t *testing.T) {
			e := newProxy(t, &Proxy{})
			var got *http.Request
			origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				got = r
				h := w.Header()
				h.Set("Body", fmt.Sprintf("%s %v", body, err))
				h["Content-Type"], h["Date"] = nil, nil
				h.Set("Connection", "X-Hop")
				h.Set("X-Hop", "1")
				h.Set("Keep-Alive", "timeout=5")
				h.Set("Proxy-Authenticate", "Basic")
				h.Set("Trailer", "X-Sum")
				_, _ = io.WriteString(w, "answer")
				h.Set("X-Sum", "42")
				h.Set(http.TrailerPrefix+"X-More", "43")
			}))
			defer origin.Close()
			req, _ := http.NewRequest(
				http.MethodPost,
				origin.URL+"/a%2fb?c=%20",
				struct{ io.Reader }{strings.NewReader("question")},
			)
			req.Header.Set("X-Kept", "1")
			req.Header.Set("Proxy-Connection", "keep-alive")
			req.Header.Set("Proxy-Authorization", "Basic eDp5")
			req.Header.Set("Te", "trailers")
			if way != overH2C {
				req.Header.Set("Connection", "X-One")
				req.Header.Set("X-One", "1")
			} else {
				req.Header.Del("Proxy-Connection")
			}
			req.Header["User-Agent"] = nil
			req.Trailer = http.Header{"X-End": {"1"}}
			resp, err := e.forwardClient(way).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || string(body) != "answer" || resp.Header.Get("Body") != "question <nil>" {
				t.Errorf("%q, %v; the origin: %s", body, err, resp.Header.Get("Body"))
			}
			if got.RequestURI != "/a%2fb?c=%20" || "http://"+got.Host != origin.URL {
				t.Errorf("the origin was asked for %s of %s", got.RequestURI, got.Host)
			}
			for _, name := range []string{
				"Proxy-Connection", "Proxy-Authorization", "X-One", "Keep-Alive", "User-Agent", "X-Forwarded-For",
			} {
				if v, ok := got.Header[name]; ok {
					t.Errorf("the origin has got %s: %s", name, v)
				}
			}
			if got.Header.Get("X-Kept") != "1" || got.Header.Get("Te") != "trailers" || got.Trailer.Get("X-End") != "1" {
				t.Errorf("the origin has got %v and trailers %v", got.Header, got.Trailer)
			}
			version := map[bool]string{true: "2", false: "1.1"}[way == overH2C]
			if got.Header.Get("Via") != version+" "+e.p.state.via || resp.Header.Get("Via") != "1.1 "+e.p.state.via {
				t.Errorf("Via: %s, and back %s", got.Header.Get("Via"), resp.Header.Get("Via"))
			}
			for _, name := range []string{"X-Hop", "Keep-Alive", "Proxy-Authenticate", "Content-Type", "Date", "Proxy-Status"} {
				if v, ok := resp.Header[name]; ok {
					t.Errorf("the client has got %s: %s", name, v)
				}
			}
			if resp.Trailer.Get("X-Sum") != "42" || resp.Trailer.Get("X-More") != "43" {
				t.Errorf("trailers: %v", resp.Trailer)
			}
			r := e.record()
			if r.End != EndClosed || r.Sent != 8 || r.Received != 6 || r.Kind != KindRequest || r.Addr != got.Host {
				t.Errorf("record: %+v", r)
			}
		})
	}
}

// TestForwardRefusals sends on what has no way, and what is for the proxy itself.
func TestForwardRefusals(t *testing.T) {
	e := newProxy(t, &Proxy{})
	gone := refusesTCP(t)
	own := newOrigin(t)
	go func() {
		for {
			c, err := own.l.Accept()
			if err != nil {
				return
			}
			r, err := http.ReadRequest(bufio.NewReader(c))
			if err == nil && r.URL.Path == "/502" {
				_, _ = io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
			}
			_ = c.Close()
		}
	}()
	for _, test := range []struct {
		head, status, proxyStatus string
	}{
		{"GET / HTTP/1.1\r\nHost: proxy.test\r\n", "421", "sluice;error=http_request_error"},
		{"GET https://" + own.addr + "/ HTTP/1.1\r\nHost: x\r\n", "421", "sluice;error=http_request_error"},
		{"GET ftp://" + own.addr + "/ HTTP/1.1\r\nHost: x\r\n", "400", "sluice;error=http_request_error"},
		{"GET http://a@" + own.addr + "/ HTTP/1.1\r\nHost: x\r\n", "400", "sluice;error=http_request_error"},
		{"GET http://" + gone + "/ HTTP/1.1\r\nHost: x\r\n", "502", "sluice;error=connection_refused"},
		{"GET http://" + own.addr + "/ HTTP/1.1\r\nHost: x\r\n", "502", "sluice;error=connection_terminated"},
		{"GET http://" + own.addr + "/502 HTTP/1.1\r\nHost: x\r\n", "502", ""},
		{
			"GET http://" + own.addr + "/ HTTP/1.1\r\nHost: x\r\nVia: 1.1 a, 1.1 VIA\r\n",
			"508", "sluice;error=proxy_loop_detected",
		},
		{"OPTIONS http://" + own.addr + "/ HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n", "200", ""},
		{
			"OPTIONS http://" + own.addr + "/ HTTP/1.1\r\nHost: x\r\nMax-Forwards: x\r\n",
			"400", "sluice;error=http_request_error",
		},
		{"TRACE http://" + own.addr + "/ HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\nCookie: secret\r\n", "200", ""},
	} {
		c := e.dialRaw(overHTTP1)
		write(t, c, strings.ReplaceAll(test.head, "VIA", e.p.init().via)+"\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%s: %v", test.head, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		status := resp.Header.Get("Proxy-Status")
		if !strings.HasPrefix(resp.Status, test.status) || !strings.HasPrefix(status, test.proxyStatus) ||
			test.proxyStatus == "" && status != "" || err != nil || strings.Contains(string(body), "secret") {
			t.Errorf("%s: %s, Proxy-Status %s, %q, %v", test.head, resp.Status, status, body, err)
		}
	}
}

// TestForwardInterim passes 103 on, and a response that begins before the request's content has
// ended.
func TestForwardInterim(t *testing.T) {
	for _, way := range forwardWays {
		t.Run(way, func(t *testing.T) {
			e := newProxy(t, &Proxy{})
			origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = http.NewResponseController(w).EnableFullDuplex()
				w.Header().Set("Link", "</a.css>; rel=preload")
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Del("Link")
				for { // echoes line by line
					b := make([]byte, 100)
					n, err := r.Body.Read(b)
					_, _ = w.Write(b[:n])
					_ = http.NewResponseController(w).Flush()
					if err != nil {
						return
					}
				}
			}))
			defer origin.Close()
			content, send := io.Pipe()
			req, _ := http.NewRequest(http.MethodPost, origin.URL, content)
			early := make(chan string, 1)
			req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					early <- fmt.Sprint(code, h.Get("Link"))
					return nil
				},
			}))
			go func() { _, _ = io.WriteString(send, "one") }()
			resp, err := e.forwardClient(way).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			wantRead(t, resp.Body, "one")
			if resp.Header.Get("Link") != "" {
				t.Errorf("the final response has the field of the interim one: %v", resp.Header)
			}
			write(t, send, "two")
			wantRead(t, resp.Body, "two")
			_ = send.Close()
			wantEOF(t, resp.Body)
			select {
			case got := <-early:
				if got != "103 </a.css>; rel=preload" && got != "103</a.css>; rel=preload" {
					t.Errorf("interim: %s", got)
				}
			case <-time.After(testTimeout):
				t.Error("no interim response")
			}
		})
	}
}
