package conformance

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/server"
)

// haproxyConfig passes requests of HTTP/1.1 and HTTP/2 on with HTTP/2, all over one connection
// for as long as that lives. Its checks are those of "option httpchk", which have no authority.
const haproxyConfig = `
global
	nbthread 1
	tune.bufsize 65536
	log stderr local0 notice
defaults
	mode http
	timeout connect 60s
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
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
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

// leaveAfter is a body that has its request cancelled after some octets, once the server has the
// request, and has no more of them: the kernel would take megabytes ahead of the cancellation.
type leaveAfter struct {
	io.Reader
	left    int
	arrived <-chan struct{}
	ctx     context.Context
	cancel  context.CancelFunc
}

func (l *leaveAfter) Read(p []byte) (int, error) {
	if l.left <= 0 {
		select {
		case <-l.arrived:
		case <-l.ctx.Done():
		}
		l.cancel()
		return 0, context.Canceled
	}
	n, err := l.Reader.Read(p[:min(len(p), 16<<10)])
	l.left -= n
	return n, err
}

// haproxyUsers are users of one HAProxy: some break off what they began, again and again, and two
// stay, one with downloads and one with uploads.
type haproxyUsers struct {
	http.Handler // what the server does
	http2        bool
	leaveUploads bool // and no downloads
	url          string
	whole, left  atomic.Int64 // transfers
	leaving      atomic.Int32 // users that may leave once more
	uploads      sync.Map     // the query of an upload that will be left → chan struct{}, closed when it has arrived
}

// ServeHTTP tells a user that its upload has arrived.
func (u *haproxyUsers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c, ok := u.uploads.LoadAndDelete(r.URL.RawQuery); ok {
		close(c.(chan struct{}))
	}
	u.Handler.ServeHTTP(w, r)
}

// leave breaks off transfers for as long as ctx says, and on a slow machine until it has been often
// enough to disturb.
func (u *haproxyUsers) leave(ctx context.Context, t *testing.T, user int) {
	defer u.leaving.Add(-1)
	c := haproxyUser(t, u.http2)
	for n := 0; ctx.Err() == nil || n < 5; n++ {
		after := 1 + (n*7919*(user+1))%500_000
		if u.leaveUploads || (n+user)%2 == 0 {
			u.abortUpload(t.Context(), c, after)
		} else {
			u.abortDownload(t.Context(), c, after)
		}
		u.left.Add(1)
	}
}

// abortDownload begins a download and ends it after some octets.
func (u *haproxyUsers) abortDownload(ctx context.Context, c *http.Client, after int) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.url+"/big", http.NoBody)
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

// abortUpload begins an upload and ends it after some octets. It waits until the server has the
// request: where a user leaves before that, HAProxy 2.6.12 resets stream 0, which ends the
// connection (RFC 9113 §6.4). HAProxy's commit f065d0009888, of version 3.1, mends it.
func (u *haproxyUsers) abortUpload(ctx context.Context, c *http.Client, after int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	arrived, query := make(chan struct{}), rand.Text()
	u.uploads.Store(query, arrived)
	body := &leaveAfter{strings.NewReader(string(bigBody())), after, arrived, ctx, cancel}
	_ = storeBig(ctx, c, u.url+"/upload?"+query, body)
}

// stay transfers whole bodies while others leave, two at least.
func (u *haproxyUsers) stay(t *testing.T, upload bool) {
	c := haproxyUser(t, u.http2)
	for n := 0; u.leaving.Load() > 0 || n < 2; n++ {
		var err error
		if upload {
			err = storeBig(t.Context(), c, u.url+"/upload", strings.NewReader(string(bigBody())))
		} else {
			err = fetchBig(t.Context(), c, u.url)
		}
		if err != nil {
			t.Errorf("transfer %d of a user that stayed, an upload: %t: %v", n, upload, err)
			return
		}
		u.whole.Add(1)
	}
}

// run returns when the last user has had enough.
func (u *haproxyUsers) run(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 4*time.Second)
	defer stop()
	var users sync.WaitGroup
	for i := range 5 {
		u.leaving.Add(1)
		users.Go(func() { u.leave(ctx, t, i) })
	}
	for _, upload := range []bool{false, true} {
		users.Go(func() { u.stay(t, upload) })
	}
	users.Wait()
}

// spareHAProxy has the server give less credit, 1 MiB, than the octets that HAProxy's output of a
// connection takes, so that HAProxy has room there at any time. Without room HAProxy 2.6.12 stops
// reading the connection for good, whatever the server is, net/http's too: where a user leaves for
// whose response the connection waits (H2_CF_DEM_SFULL), h2_detach puts off the RST_STREAM, and
// h2_deferred_shut, which sends it, frees the stream and lets the connection wait.
//
// The output is 32 buffers, of 64 KiB by haproxyConfig's tune.bufsize. A frame of at most a quarter
// of one takes a new one only where the last has no room: they hold 1.5 MiB at least.
func spareHAProxy(s *server.Server) {
	s.Config.MaxReceiveBufferPerConnection, s.Config.MaxReceiveBufferGrowth = 1<<20, -1
}

// Users of a proxy that break off requests, again and again, disturb no other user: the
// proxy has one connection to the server for all of them. The proxy's resets, and the credit
// that it gives back for what it throws away, come in proportion to its users' requests.
func TestHAProxyUsersLeave(t *testing.T) {
	anything := []func(*server.Server){onlyHTTP2, spareHAProxy}
	uploads := []func(*server.Server){onlyHTTP2} // whose responses no connection waits for
	tests := []struct {
		name                string
		http2, leaveUploads bool
		server              []func(*server.Server)
	}{
		{"users of HTTP1.1", false, false, anything},
		{"users of HTTP1.1, uploads", false, true, uploads},
		{"users of HTTP2", true, false, anything},
		{"users of HTTP2, uploads", true, true, uploads},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := &haproxyUsers{Handler: testHandler(), http2: tt.http2, leaveUploads: tt.leaveUploads}
			ls := startServer(t, false, u, tt.server...)
			u.url = startHAProxy(t, ls.Addr, "1h").front
			before := ls.Accepted.Load()
			u.run(t)
			t.Logf("%d whole transfers, %d left, %d connections", u.whole.Load(), u.left.Load(), ls.Accepted.Load()-before)
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
