package conformance

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
)

// haproxyConfig passes requests of HTTP/1.1 and HTTP/2 on with HTTP/2, all over one connection
// for as long as that lives. Its checks are those of "option httpchk", which have no authority.
const haproxyConfig = `
global
	nbthread 1
	log stderr local0 notice
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	timeout check 20s
	option httpchk
frontend front
	bind 127.0.0.1:%d
	default_backend back
backend back
	http-reuse always
	http-check send meth GET uri /hello ver HTTP/2
	http-check expect status 200
	server ours %s proto h2 check inter %s
frontend state
	bind 127.0.0.1:%d
	monitor-uri /alive
	acl dead nbsrv(back) lt 1
	monitor fail if dead
`

// A haproxy is HAProxy in front of a server.
type haproxy struct{ front, state string }

// startHAProxy has HAProxy pass requests on to a server that takes HTTP/2 on cleartext, and
// check it at intervals.
func startHAProxy(t *testing.T, backend, between string) haproxy {
	t.Helper()
	path := requirePeer(t, "haproxy", "/usr/sbin/haproxy")
	s := prepare(t)
	front, state := freePort(t), freePort(t)
	s.run(t, path, "-db", "-f", s.config(t, fmt.Sprintf(haproxyConfig, front, backend, between, state)))
	return haproxy{"http://" + await(t, front), "http://" + await(t, state)}
}

// haproxyUser returns a client of its own connection to HAProxy, with HTTP/1.1 or HTTP/2.
func haproxyUser(t *testing.T, http2 bool) *http.Client {
	p := new(http.Protocols)
	p.SetHTTP1(!http2)
	p.SetUnencryptedHTTP2(http2)
	tr := &client.Transport{Protocols: p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// fetchBig gets bigBody and compares it.
func fetchBig(ctx context.Context, c *http.Client, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/big", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("after %d octets: %w", len(b), err)
	}
	if resp.StatusCode != http.StatusOK || checksum(b) != checksum(bigBody()) {
		return fmt.Errorf("status %d and %d octets, or others than were sent", resp.StatusCode, len(b))
	}
	return nil
}

// storeBig posts bigBody, as fast as body gives it, and looks whether it has arrived.
func storeBig(ctx context.Context, c *http.Client, url string, body io.Reader) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/upload", body)
	if err != nil {
		return err
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("HTTP/2.0 %d %s", uploadSize, checksum(bigBody())); string(b) != want {
		return fmt.Errorf("status %d and %q, want %q", resp.StatusCode, clip(string(b)), want)
	}
	return nil
}

// leaveAfter is a body that has its request cancelled after some octets.
type leaveAfter struct {
	io.Reader
	left   int
	cancel context.CancelFunc
}

func (l *leaveAfter) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p[:min(len(p), 16<<10)])
	if l.left -= n; l.left <= 0 {
		l.cancel()
	}
	return n, err
}

// abort begins a download or an upload and ends it after some octets.
func abort(ctx context.Context, c *http.Client, url string, upload bool, after int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if upload {
		_ = storeBig(ctx, c, url, &leaveAfter{strings.NewReader(string(bigBody())), after, cancel})
		return
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/big", http.NoBody)
	if err != nil {
		return
	}
	resp, err := c.Do(r)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, int64(after))
}

// Users of a proxy that break off requests, again and again, disturb no other user: the
// proxy has one connection to the server for all of them. The proxy's resets, and the credit
// that it gives back for what it throws away, come in proportion to its users' requests.
func TestHAProxyUsersLeave(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		name := "users of HTTP1.1"
		if http2 {
			name = "users of HTTP2"
		}
		t.Run(name, func(t *testing.T) {
			ls := startServer(t, false, testHandler(), onlyHTTP2)
			proxy := startHAProxy(t, ls.Addr, "1h")
			before := ls.Accepted.Load()

			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
			defer stop()
			var users sync.WaitGroup
			var whole, left atomic.Int64
			for i := range 5 {
				users.Go(func() {
					c := haproxyUser(t, http2)
					for n := 0; ctx.Err() == nil; n++ {
						abort(ctx, c, proxy.front, (n+i)%2 == 0, 1+(n*7919*(i+1))%500_000)
						left.Add(1)
					}
				})
			}
			for i := range 2 {
				users.Go(func() {
					c := haproxyUser(t, http2)
					for ctx.Err() == nil {
						var err error
						if i == 0 {
							err = fetchBig(t.Context(), c, proxy.front)
						} else {
							err = storeBig(t.Context(), c, proxy.front, strings.NewReader(string(bigBody())))
						}
						if err != nil {
							t.Errorf("transfer %d of those that stayed: %v", whole.Load(), err)
						}
						whole.Add(1)
					}
				})
			}
			users.Wait()
			connections := ls.Accepted.Load() - before
			t.Logf("%d whole transfers, %d left, %d connections", whole.Load(), left.Load(), connections)
			if whole.Load() < 2 || left.Load() < 10 {
				t.Errorf("%d whole transfers and %d that were left: the test has shown nothing", whole.Load(), left.Load())
			}
		})
	}
}

// awaitState waits until HAProxy takes the server for well, or for ill.
func awaitState(t *testing.T, proxy haproxy, well bool) {
	t.Helper()
	give := time.After(rawTimeout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := alive(t.Context(), proxy)
		if err == nil && got == well {
			return
		}
		select {
		case <-tick.C:
		case <-give:
			t.Fatalf("the server is well: %t, %v; want %t", got, err, well)
		}
	}
}

// alive asks HAProxy whether the server is well.
func alive(ctx context.Context, proxy haproxy) (bool, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, proxy.state+"/alive", http.NoBody)
	if err != nil {
		return false, err
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK, nil
}

// The checks of "option httpchk" have no authority, which RFC 9113 §8.3.1 asks for and net/http
// does without. The server is well for as long as it answers, and not where it does not.
func TestHAProxyChecks(t *testing.T) {
	asked := make(chan string, 1)
	var well atomic.Bool
	well.Store(true)
	ls := startServer(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select { // the first
		case asked <- fmt.Sprintf("%s %s %q", r.Method, r.URL.Path, r.Host):
		default:
		}
		if !well.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}), onlyHTTP2)
	proxy := startHAProxy(t, ls.Addr, "200ms")
	select {
	case got := <-asked:
		if want := `GET /hello ""`; got != want {
			t.Errorf("the check was %s, want %s", got, want)
		}
	case <-time.After(rawTimeout):
		t.Fatal("no check came")
	}
	awaitState(t, proxy, true)
	well.Store(false)
	awaitState(t, proxy, false)
}
