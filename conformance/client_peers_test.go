package conformance

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-go/sluice/client"
)

// atOnce is how many requests the servers get at once, and configuredAtOnce how many where net/http
// dials: it makes a connection for each of them, with a handshake, which takes a loaded machine
// long.
const (
	atOnce           = 1000
	configuredAtOnce = 150
)

// clientPeers are the servers that our Transport talks to.
var clientPeers = []struct {
	name  string
	start func(t *testing.T, secure bool) (addr string)
	echo  bool // it serves files, and gives back what is posted instead of the checksum

	// Trailers are those of a response: none, the ones of serveTrailers, or fixed ones to a GET. A
	// proxy may keep the ones of the request to itself, or pass on only what was announced.
	trailers trailerKind
}{
	{
		"sluice",
		func(t *testing.T, secure bool) string { return startServer(t, secure, clientTestHandler()).Addr },
		false,
		trailersBothWays,
	},
	{"net-http", startNetHTTP, false, trailersBothWays},
	{"node", startNode, false, trailersBothWays},
	{"nghttpd", startNghttpd, true, trailersFixed},
	{"nginx", startNginx, false, trailersFixed},
	{"h2o", startH2O, false, trailersNone},
	{"caddy", startCaddy, false, trailersAnnounced},
}

type trailerKind int

const (
	trailersNone trailerKind = iota
	trailersBothWays
	trailersFixed
	trailersAnnounced
)

func TestClientPeers(t *testing.T) {
	for _, p := range clientPeers {
		t.Run(p.name, func(t *testing.T) {
			for _, secure := range []bool{false, true} {
				name, scheme := "h2c", "http"
				if secure {
					name, scheme = "tls", "https"
				}
				t.Run(name, func(t *testing.T) {
					url := scheme + "://" + p.start(t, secure)
					for name, rt := range map[string]http.RoundTripper{"": newTransport(t), "configured ": newConfigured(t)} {
						t.Run(name+"get", func(t *testing.T) { testGet(t, rt, url, secure) })
						t.Run(name+"post", func(t *testing.T) { testPost(t, rt, url, p.echo) })
						if p.trailers != trailersNone {
							t.Run(name+"trailers", func(t *testing.T) { testTrailers(t, rt, url, p.trailers) })
						}
					}
					together := func(n int) string {
						if p.echo {
							return "/hello"
						}
						return fmt.Sprintf("/gather?%d", n) // no response comes before so many requests have
					}
					t.Run("at once", func(t *testing.T) {
						tr := newTransport(t)
						testAtOnce(t, tr, url+together(atOnce), atOnce)
						// A connection has at least 100 streams, so that ten are enough. nginx has
						// each take 300 requests, and an early request on a new one cannot know its
						// limit.
						wantConns(t, tr, 40)
					})
					t.Run("at once on one connection", func(t *testing.T) {
						tr := newTransport(t, func(tr *client.Transport) { tr.MaxConnsPerHost = 1 })
						testAtOnce(t, tr, url+"/hello", atOnce)
						wantConns(t, tr, 5) // one after another
					})
					t.Run("configured at once", func(t *testing.T) {
						testAtOnce(t, newConfigured(t), url+together(configuredAtOnce), configuredAtOnce)
					})
				})
			}
		})
	}
}

// do sends a request and requires a response of HTTP/2 with status 200.
func do(t *testing.T, rt http.RoundTripper, req *http.Request) (*http.Response, []byte) {
	t.Helper()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := drain(resp)
	if err != nil {
		t.Fatal(err)
	}
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s with body %q, want HTTP/2.0 200 OK", resp.Proto, resp.Status, clip(string(b)))
	}
	return resp, b
}

func newRequest(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func testGet(t *testing.T, rt http.RoundTripper, url string, secure bool) {
	resp, b := do(t, rt, newRequest(t, "GET", url+"/hello", nil))
	if string(b) != helloBody {
		t.Errorf("body %q, want %q", b, helloBody)
	}
	if (resp.TLS != nil) != secure {
		t.Errorf("Response.TLS is %v", resp.TLS)
	}
	resp, b = do(t, rt, newRequest(t, "HEAD", url+"/hello", nil))
	if len(b) != 0 || resp.ContentLength > 0 && resp.ContentLength != int64(len(helloBody)) {
		t.Errorf("HEAD: %d octets, content-length %d", len(b), resp.ContentLength)
	}
	if _, b = do(t, rt, newRequest(t, "GET", url+"/big", nil)); checksum(b) != checksum(bigBody()) {
		t.Errorf("%d octets, not the %d of the file", len(b), uploadSize)
	}
}

// testPost uploads a body of known length, one of unknown length, and some at once.
func testPost(t *testing.T, rt http.RoundTripper, url string, echo bool) {
	want := fmt.Sprintf("%d %s", uploadSize, checksum(bigBody()))
	post := func(body io.Reader) error {
		req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/upload", body)
		if err != nil {
			return err
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			return err
		}
		b, err := drain(resp)
		switch {
		case err != nil:
			return err
		case resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK:
			return fmt.Errorf("%s %s, %q", resp.Proto, resp.Status, clip(string(b)))
		case echo && checksum(b) != checksum(bigBody()):
			return fmt.Errorf("%d octets came back, not the %d that were sent", len(b), uploadSize)
		case !echo && !strings.HasSuffix(string(b), want):
			return fmt.Errorf("the answer is %q, want %q", clip(string(b)), want)
		}
		return nil
	}
	if err := post(bytes.NewReader(bigBody())); err != nil {
		t.Error(err)
	}
	// Nothing says how long this body is.
	if err := post(struct{ io.Reader }{bytes.NewReader(bigBody())}); err != nil {
		t.Errorf("of unknown length: %v", err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := post(bytes.NewReader(bigBody())); err != nil {
				t.Errorf("four at once: %v", err)
			}
		})
	}
	all.Wait()
}

// newConfigured returns an http.Transport whose HTTP/2 is ours.
func newConfigured(t *testing.T) *http.Transport {
	t.Helper()
	tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	tr.Protocols.SetHTTP2(true)
	tr.Protocols.SetUnencryptedHTTP2(true)
	if _, err := client.Configure(tr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func testTrailers(t *testing.T, rt http.RoundTripper, url string, kind trailerKind) {
	var req *http.Request
	reply := helloBody
	if kind == trailersFixed {
		req = newRequest(t, "GET", url+"/trailers", nil)
	} else {
		// The trailer's value is known when the body is.
		req = newRequest(t, "POST", url+"/trailers", nil)
		req.Trailer = http.Header{"X-Client": nil}
		req.Body = io.NopCloser(io.MultiReader(strings.NewReader("small"), readerFunc(func([]byte) (int, error) {
			req.Trailer.Set("X-Client", "from sluice")
			return 0, io.EOF
		})))
		req.ContentLength = -1
		reply = "body=small x-client=from sluice"
	}
	resp, b := do(t, rt, req)
	if kind == trailersAnnounced {
		reply = string(b) // with or without the trailer of the request
	}
	if string(b) != reply || !strings.HasPrefix(reply, "body=small") && reply != helloBody {
		t.Errorf("body %q, want %q", b, reply)
	}
	if got, want := resp.Trailer.Get("X-Checksum"), checksum([]byte(reply)); got != want {
		t.Errorf("trailers %v, want X-Checksum: %s", resp.Trailer, want)
	}
	if got := resp.Trailer.Get("X-Late"); got != "yes" && kind != trailersAnnounced {
		t.Errorf("trailers %v, want X-Late: yes", resp.Trailer)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// testAtOnce sends many requests at once. All of them have to be answered, whatever limits the
// server has.
func testAtOnce(t *testing.T, rt http.RoundTripper, url string, requests int) {
	ctx, cancel := context.WithTimeout(t.Context(), peerTimeout)
	defer cancel()
	errs := make(chan error, requests)
	var all sync.WaitGroup
	for range requests {
		all.Go(func() {
			req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
			if err != nil {
				errs <- err
				return
			}
			resp, err := rt.RoundTrip(req)
			if err != nil {
				errs <- err
				return
			}
			if b, err := drain(resp); err != nil || resp.StatusCode != http.StatusOK || string(b) != helloBody {
				errs <- fmt.Errorf("%s, %q, error %v", resp.Status, b, err)
			}
		})
	}
	all.Wait()
	if n := len(errs); n > 0 {
		t.Errorf("%d of %d requests failed, the first with %v", n, requests, <-errs)
	}
}

// wantConns allows a Transport some connections.
func wantConns(t *testing.T, tr *client.Transport, most uint64) {
	t.Helper()
	stats := tr.Stats()
	if stats.ConnsOpened > most {
		t.Errorf("%d connections, with %d retries, want at most %d", stats.ConnsOpened, stats.Retries, most)
	}
}
