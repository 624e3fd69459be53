package conformance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

const (
	goAwayRequests = 10_000
	goAways        = 200
	goAwayWorkers  = 20 // requests at a time
	// goAwayQuota is how many requests a connection gets before GOAWAY: few enough for goAways of
	// them, even where all that are on their way are served too, and not so few that a request is
	// sent in vain again and again.
	goAwayQuota = goAwayWorkers
)

// A ledger has an entry for each request that a server has acted on.
type ledger struct {
	mu   sync.Mutex
	acts map[string]int
}

func newLedger() *ledger { return &ledger{acts: make(map[string]int)} }

func (l *ledger) act(path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acts[path]++
}

// check wants each of n requests to have been acted on once: none lost, none twice.
func (l *ledger) check(t *testing.T, n int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.acts) != n {
		t.Errorf("the server has acted on %d requests, want %d", len(l.acts), n)
	}
	for path, times := range l.acts {
		if times != 1 {
			t.Errorf("the server has acted %d times on %s", times, path)
			return
		}
	}
}

// goAwayRequest makes the i-th request: a GET, a POST that can be repeated by GetBody, and one
// whose body is a stream.
func goAwayRequest(ctx context.Context, url string, i int) (req *http.Request, want string, err error) {
	path := fmt.Sprintf("/%d", i)
	switch i % 3 {
	case 0:
		req, err = http.NewRequestWithContext(ctx, "GET", url+path, nil)
		return req, path, err
	case 1:
		req, err = http.NewRequestWithContext(ctx, "POST", url+path, strings.NewReader("body of "+path))
	default:
		req, err = http.NewRequestWithContext(ctx, "POST", url+path, io.LimitReader(strings.NewReader("body of "+path), 100))
	}
	return req, path + "body of " + path, err
}

// sendThrough sends n requests, some at a time, and requires that each gets its response.
func sendThrough(t *testing.T, tr *client.Transport, url string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), peerTimeout)
	defer cancel()
	var next, failed atomic.Int64
	send := func(i int) error {
		req, want, err := goAwayRequest(ctx, url, i)
		if err != nil {
			return err
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			return err
		}
		b, err := drain(resp)
		if err == nil && (resp.StatusCode != http.StatusOK || string(b) != want) {
			err = fmt.Errorf("%s, %q, want %q", resp.Status, b, want)
		}
		return err
	}
	var workers sync.WaitGroup
	for range goAwayWorkers {
		workers.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				if err := send(i); err != nil && failed.Add(1) <= 5 {
					t.Errorf("request %d: %v", i, err)
				}
			}
		})
	}
	workers.Wait()
	if f := failed.Load(); f > 0 {
		t.Errorf("%d of %d requests were lost", f, n)
	}
	stats := tr.Stats()
	t.Logf("%d connections, %d retries", stats.ConnsOpened, stats.Retries)
}

// Our server shuts each connection down after some requests, while others run and more are on their
// way.
func TestClientThroughGoAways(t *testing.T) {
	for _, secure := range []bool{false, true} {
		name, scheme := "h2c", "http"
		if secure {
			name, scheme = "tls", "https"
		}
		t.Run(name, func(t *testing.T) {
			s := newDrainingServer(t, secure)
			sendThrough(t, newTransport(t), scheme+"://"+s.addr, goAwayRequests)
			s.acted.check(t, goAwayRequests)
			if n := s.drained.Load(); n < goAways {
				t.Errorf("%d connections ended with GOAWAY, want at least %d", n, goAways)
			}
		})
	}
}

// A drainingServer is a listener with a server.Server for every connection, which is shut down when
// it has got its quota.
type drainingServer struct {
	addr    string
	acted   *ledger
	drained atomic.Int64
	tls     *tls.Config
	log     *log.Logger
	running sync.WaitGroup
}

func newDrainingServer(t *testing.T, secure bool) *drainingServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &drainingServer{addr: l.Addr().String(), acted: newLedger(), log: log.New(newTestLog(t), "", 0)}
	if secure {
		cert, err := selfsigned.Certificate()
		if err != nil {
			t.Fatal(err)
		}
		s.tls = &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.running.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			s.running.Go(func() { s.serve(ctx, nc) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		cancel()
		s.running.Wait()
	})
	return s
}

// serve has a server serve one connection.
func (s *drainingServer) serve(ctx context.Context, nc net.Conn) {
	var requests atomic.Int64
	srv := &server.Server{ErrorLog: s.log}
	onlyHTTP2(srv)
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.acted.act(r.URL.Path)
		if requests.Add(1) == goAwayQuota {
			s.drained.Add(1)
			s.running.Go(func() {
				if err := srv.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
					s.log.Printf("Shutdown: %v", err)
				}
			})
		}
		io.WriteString(w, r.URL.Path)
		io.Copy(w, r.Body)
	})
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if s.tls != nil {
		nc = tls.Server(nc, s.tls)
	}
	srv.ServeConn(nc)
}
