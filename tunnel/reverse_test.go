package tunnel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/server"
)

// reverseEnv is an outer side and inner sides in memory, in a bubble of synctest.
type reverseEnv struct {
	t       *testing.T
	outer   *ReverseOuter
	srv     *server.Server
	targets *memconn.Listener // what the inner sides dial
	stops   []func() error
	dials   atomic.Int64 // of the inner sides, to the outer one

	mu  sync.Mutex        // guards what follows
	l   *memconn.Listener // of the outer side
	ncs []*memconn.Conn   // of the inner sides
}

func newReverseEnv(t *testing.T) *reverseEnv {
	e := &reverseEnv{
		t: t, outer: &ReverseOuter{Authenticate: BearerToken("old", "secret")}, targets: memconn.Listen(memconn.Options{}),
	}
	e.startOuter()
	go e.serveTargets()
	return e
}

func (e *reverseEnv) startOuter() {
	e.mu.Lock()
	e.l = memconn.Listen(memconn.Options{})
	e.mu.Unlock()
	e.srv = &server.Server{Handler: e.outer}
	go func(srv *server.Server, l net.Listener) { _ = srv.Serve(l) }(e.srv, e.l)
}

// serveTargets sends back what comes.
func (e *reverseEnv) serveTargets() {
	for {
		nc, err := e.targets.Accept()
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(nc, nc)
			_ = nc.Close()
		}()
	}
}

// inner returns an inner side that is not started. It may reach 192.0.2.6:22 alone.
func (e *reverseEnv) inner() *ReverseInner {
	rules, err := ParseRules(strings.NewReader("allow 192.0.2.6 port 22"), "rules")
	if err != nil {
		e.t.Fatal(err)
	}
	return &ReverseInner{
		URL:   &url.URL{Scheme: "http", Host: "outer.example"},
		Token: func(context.Context) (string, error) { return "secret", nil },
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if network != "tcp" || addr != "outer.example:80" {
				e.t.Errorf("dialled %s %s", network, addr)
			}
			e.dials.Add(1)
			e.mu.Lock()
			defer e.mu.Unlock()
			nc, err := e.l.Dial(ctx, network, addr)
			if err == nil {
				e.ncs = append(e.ncs, nc.(*memconn.Conn))
			}
			return nc, err
		},
		Handler: &Proxy{Policy: rules, DialContext: e.targets.Dial},
	}
}

// start runs an inner side, and returns what stops it.
func (e *reverseEnv) start(in *ReverseInner) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var err error
	go func() {
		err = in.Run(ctx)
		close(done)
	}()
	stop = func() error {
		cancel()
		<-done
		return err
	}
	e.stops = append(e.stops, stop)
	synctest.Wait()
	return stop
}

// close ends everything.
func (e *reverseEnv) close() {
	_ = e.outer.Close()
	_ = e.srv.Close()
	_ = e.l.Close()
	_ = e.targets.Close()
	for _, stop := range e.stops {
		_ = stop()
	}
}

func (e *reverseEnv) dial() net.Conn {
	e.t.Helper()
	nc, err := e.outer.DialContext(e.t.Context(), "tcp", "192.0.2.6:22")
	if err != nil {
		e.t.Fatal(err)
	}
	return nc
}

// wantLine sends a line and has it back.
func wantLine(t *testing.T, nc net.Conn, line string) {
	t.Helper()
	if _, err := io.WriteString(nc, line); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(line))
	if _, err := io.ReadFull(nc, b); err != nil || string(b) != line {
		t.Fatalf("%q came back, %v", b, err)
	}
}

func (e *reverseEnv) wantConnections(n int) {
	e.t.Helper()
	synctest.Wait()
	if got := e.outer.Connections(); got != n {
		e.t.Fatalf("%d connections, want %d", got, n)
	}
}

func TestReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newReverseEnv(t)
		defer e.close()
		e.start(e.inner())
		e.wantConnections(2)

		a, b := e.dial(), e.dial()
		wantLine(t, a, "one")
		wantLine(t, b, "two")
		if err := a.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Error(err)
		}
		if rest, err := io.ReadAll(a); err != nil || len(rest) > 0 {
			t.Errorf("after the end: %q, %v", rest, err)
		}
		wantLine(t, b, "three")
		_ = b.Close()

		_, err := e.outer.DialContext(t.Context(), "tcp", "192.0.2.6:23")
		var refusal *Refusal
		if !errors.As(err, &refusal) || refusal.Status != http.StatusForbidden ||
			!strings.Contains(refusal.Details, "192.0.2.6:23") || refusal.Header.Get("Proxy-Status") == "" {
			t.Errorf("a target that is not allowed: %v", err)
		}
		if _, err := e.outer.DialContext(t.Context(), "udp", "192.0.2.6:22"); err == nil {
			t.Error("udp was dialled")
		}
		// An hour in which nothing is carried.
		c := e.dial()
		for range 12 {
			time.Sleep(5 * time.Minute)
			wantLine(t, c, "still there")
		}
		if n := e.dials.Load(); n != 2 {
			t.Errorf("the inner side has dialled %d times", n)
		}
	})
}

// Several inner sides take turns, and a dial goes on where one is lost in the midst.
func TestReverseFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newReverseEnv(t)
		defer e.close()
		var counts [2]atomic.Int64
		for i := range counts {
			in := e.inner()
			in.Connections = 1
			next := in.Handler
			in.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				counts[i].Add(1)
				next.ServeHTTP(w, r)
			})
			e.start(in)
		}
		e.wantConnections(2)
		for range 10 {
			nc := e.dial()
			wantLine(t, nc, "hello")
			_ = nc.Close()
		}
		if a, b := counts[0].Load(), counts[1].Load(); a != 5 || b != 5 {
			t.Errorf("%d and %d tunnels", a, b)
		}
		// One goes silent: the dials that meet it wait for the PING, and go on with the other.
		begin := time.Now()
		e.ncs[0].Stall(time.Now().Add(time.Hour))
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				nc := e.dial()
				wantLine(t, nc, "hello")
				_ = nc.Close()
			})
		}
		wg.Wait()
		if d := time.Since(begin); d > DefaultReverseKeepAlive+reversePingTimeout {
			t.Errorf("a dial took %v", d)
		}
		time.Sleep(2 * DefaultReverseMaxBackoff)
		e.wantConnections(2) // the inner side has found out, too
	})
}

// The outer side is away for a while, and the inner side comes back with a delay that grows, is
// bounded, and is not that of others.
func TestReverseBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newReverseEnv(t)
		defer e.close()
		in := e.inner()
		in.Connections = 1
		e.start(in)
		nc := e.dial()
		_ = e.outer.Close()
		_ = e.srv.Close()
		_ = e.l.Close()
		if _, err := nc.Read(make([]byte, 1)); err == nil {
			t.Error("the tunnel goes on")
		}
		time.Sleep(time.Hour)
		if n := e.dials.Load(); n < 60*60/30 || n > 2*60*60/30+20 {
			t.Errorf("%d dials in an hour", n)
		}
		if _, err := e.outer.DialContext(t.Context(), "tcp", "192.0.2.6:22"); !errors.Is(err, ErrOuterClosed) {
			t.Errorf("a dial at a closed outer side: %v", err)
		}
		e.outer = &ReverseOuter{Authenticate: BearerToken("secret")}
		if _, err := e.outer.DialContext(t.Context(), "tcp", "192.0.2.6:22"); !errors.Is(err, ErrNoInner) {
			t.Errorf("a dial without an inner side: %v", err)
		}
		e.startOuter()
		e.outer.WaitTimeout = time.Minute
		wantLine(t, e.dial(), "there again") // waits
	})

	in := &ReverseInner{}
	for failures, most := range []time.Duration{500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000} {
		seen := map[time.Duration]bool{}
		for range 100 {
			d := in.backoff(failures)
			if d > most*time.Millisecond || d < most*time.Millisecond/2 {
				t.Errorf("after %d failures: %v", failures, d)
			}
			seen[d] = true
		}
		if len(seen) < 50 {
			t.Errorf("%d different delays", len(seen))
		}
	}
}

// Who has no token is not let in, and the reason is in the log of both.
func TestReverseToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newReverseEnv(t)
		defer e.close()
		e.outer.WaitTimeout = -1
		in := e.inner()
		var rounds atomic.Int64
		in.Token = func(context.Context) (string, error) {
			switch rounds.Add(1) {
			case 1, 2:
				return "", errors.New("no such file")
			case 3, 4:
				return "wrong", nil
			}
			return "secret", nil
		}
		e.start(in)
		e.wantConnections(0)
		if _, err := e.outer.DialContext(t.Context(), "tcp", "192.0.2.6:22"); !errors.Is(err, ErrNoInner) {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Minute)
		e.wantConnections(2) // the token was put right meanwhile
	})
	for _, tt := range []struct {
		tokens        []string
		authorization string
		want          bool
	}{
		{[]string{"a", "b"}, "Bearer b", true},
		{[]string{"a", "b"}, "bearer a", true},
		{[]string{"a", "b"}, "Bearer c", false},
		{[]string{"a", "b"}, "Basic a", false},
		{[]string{"a", ""}, "Bearer ", false},
		{[]string{""}, "", false},
		{nil, "Bearer ", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", tt.authorization)
		if got := BearerToken(tt.tokens...)(r); got != tt.want {
			t.Errorf("%q with %q: %v", tt.tokens, tt.authorization, got)
		}
	}
}

// What is no request of an inner side is answered.
func TestReverseRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		outer  *ReverseOuter
		change func(r *http.Request)
		status int
	}{
		"no Authenticate": {&ReverseOuter{}, func(*http.Request) {}, http.StatusUnauthorized},
		"no upgrade":      {nil, func(r *http.Request) { r.Header.Del("Upgrade") }, http.StatusUpgradeRequired},
		"other upgrade":   {nil, func(r *http.Request) { r.Header.Set("Upgrade", "h2c") }, http.StatusUpgradeRequired},
		"HTTP/2":          {nil, func(r *http.Request) { r.ProtoMajor = 2 }, http.StatusUpgradeRequired},
		"wrong token": {
			nil, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, http.StatusUnauthorized,
		},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Connection", "upgrade")
		r.Header.Set("Upgrade", "PTTH/2.0")
		r.Header.Set("Authorization", "Bearer secret")
		tt.change(r)
		outer := tt.outer
		if outer == nil {
			outer = &ReverseOuter{Authenticate: BearerToken("secret")}
		}
		w := httptest.NewRecorder()
		outer.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s: %d, want %d", name, w.Code, tt.status)
		}
	}
	closed := &ReverseOuter{Authenticate: func(*http.Request) bool { return true }}
	_ = closed.Close()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = http.Header{"Connection": {"upgrade"}, "Upgrade": {"PTTH/2.0"}}
	w := httptest.NewRecorder()
	if closed.ServeHTTP(w, r); w.Code != http.StatusServiceUnavailable {
		t.Errorf("closed: %d", w.Code)
	}
}

// 100 tunnels at once on one connection deliver what they should.
func TestReverseMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newReverseEnv(t)
		defer e.close()
		in := e.inner()
		in.Connections = 1
		e.start(in)
		var wg sync.WaitGroup
		for i := range 100 {
			nc := e.dial()
			wg.Go(func() {
				defer nc.Close()
				data := make([]byte, 200<<10)
				r := rand.NewChaCha8(sha256.Sum256(fmt.Append(nil, i)))
				_, _ = r.Read(data)
				go func() {
					_, _ = nc.Write(data)
					_ = nc.(interface{ CloseWrite() error }).CloseWrite()
				}()
				got, err := io.ReadAll(nc)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("tunnel %d: %d of %d octets, %v", i, len(got), len(data), err)
				}
			})
		}
		wg.Wait()
		if n := e.dials.Load(); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// Where all streams are taken a dial waits for one.
func TestReverseFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newReverseEnv(t)
		defer e.close()
		in := e.inner()
		in.Connections, in.HTTP2.MaxConcurrentStreams = 1, 2
		e.start(in)
		a, b := e.dial(), e.dial()
		begin := time.Now()
		if _, err := e.outer.DialContext(t.Context(), "tcp", "192.0.2.6:22"); !errors.Is(err, ErrNoInner) ||
			time.Since(begin) != DefaultReverseWait {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := e.outer.DialContext(ctx, "tcp", "192.0.2.6:22"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		time.AfterFunc(time.Second, func() { _ = a.Close() })
		wantLine(t, e.dial(), "its turn")
		_ = b.Close()
	})
}
