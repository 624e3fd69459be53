package stress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/selfsigned"
)

var (
	requests = flag.Int("stress.requests", 0, "requests of TestStress; 0: as many as the time of each run allows")
	runTime  = flag.Duration("stress.time", 1100*time.Millisecond, "time of each run without -stress.requests")
)

const (
	callers = 24
	hung    = 2 * time.Minute // after which a request counts as one that never ends
)

// pair is a client of a kind and a server of a kind.
type pair struct {
	t          *testing.T
	clientKind string
	s          *faulty
	rt         http.RoundTripper
	stats      func() client.Stats
	next       atomic.Uint64
	limit      uint64
	until      time.Time
	mu         sync.Mutex
	outcomes   map[string]int
	seen       map[string]bool // faults
}

type run struct {
	client, server string
	secure         bool
	maxConns       int
	procs          int
}

func (r run) String() string {
	scheme := "h2c"
	if r.secure {
		scheme = "tls"
	}
	return fmt.Sprintf("%s to %s/%s/MaxConnsPerHost=%d/GOMAXPROCS=%d", r.client, r.server, scheme, r.maxConns, r.procs)
}

// runs are all pairs of a client and a server of which one is sluice's, with the rest of the
// choices spread among them.
func runs() (list []run) {
	procs := []int{1, 2, 8}
	for _, c := range []string{own, configure, netHTTP} {
		for _, s := range []string{own, configure, netHTTP} {
			if c == netHTTP && s == netHTTP {
				continue
			}
			for i, secure := range []bool{false, true} {
				n := len(list)
				list = append(list, run{c, s, secure, (n + i) % 3, procs[n%3]})
			}
		}
	}
	return list
}

func TestStress(t *testing.T) {
	cert, err := selfsigned.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	all := runs()
	for _, r := range all {
		t.Run(r.String(), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(r.procs))
			w := &pair{t: t, clientKind: r.client, outcomes: map[string]int{}, seen: map[string]bool{}}
			w.limit, w.until = 100_000, time.Now().Add(*runTime)
			if *requests > 0 {
				w.limit, w.until = uint64((*requests+len(all)-1)/len(all)), time.Now().Add(24*time.Hour)
			}
			var srvTLS, cliTLS *tls.Config
			if r.secure {
				srvTLS, cliTLS = &tls.Config{Certificates: []tls.Certificate{cert}}, &tls.Config{RootCAs: roots}
			}
			before := runtime.NumGoroutine()
			w.s = newFaulty(t, r.server, srvTLS, &fates{make([]atomic.Uint32, w.limit)})
			w.connect(r, cliTLS)
			w.run()
			w.end(before)
		})
	}
}

// connect makes the client.
func (w *pair) connect(r run, secure *tls.Config) {
	w.stats = func() (none client.Stats) { return none }
	if r.client == own {
		tr := &client.Transport{
			TLSClientConfig: secure, Protocols: protocols(), MaxConnsPerHost: r.maxConns,
			MaxRequestsPerConn: 500, MaxConnectionAge: 250 * time.Millisecond, DisableCompression: true,
		}
		w.rt, w.stats = tr, tr.Stats
		return
	}
	t1 := &http.Transport{
		TLSClientConfig: secure, Protocols: protocols(), MaxConnsPerHost: r.maxConns, DisableCompression: true,
	}
	if w.rt = t1; r.client == configure {
		t2, err := client.Configure(t1)
		if err != nil {
			w.t.Fatal(err)
		}
		w.stats = t2.Stats
	}
}

// run sends requests until there were enough.
func (w *pair) run() {
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for time.Now().Before(w.until) {
				id := w.next.Add(1) - 1
				if id >= w.limit {
					return
				}
				outcome := w.request(id)
				w.mu.Lock()
				w.outcomes[outcome]++
				w.mu.Unlock()
			}
		})
	}
	all.Wait()
}

// size is that of a body: often none, often a little, at times more than the windows.
func size() int64 {
	if rand.IntN(4) == 0 {
		return 0
	}
	return rand.Int64N(1 << (1 + rand.IntN(18)))
}

// request sends one request, checks its result, and names that.
func (w *pair) request(id uint64) (outcome string) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), hung, errors.New("the request never ends"))
	defer cancel()
	n, answer, method := size(), size(), http.MethodPost
	var body *requestBody
	var rd io.Reader
	if n > 0 {
		body = &requestBody{content: newContent(id, ofRequest, n)}
		rd = body
	} else if rand.IntN(2) == 0 {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, w.s.url, rd)
	if err != nil {
		panic(err)
	}
	if n > 0 && rand.IntN(2) == 0 {
		req.ContentLength = n
	}
	var again []*requestBody
	var mu sync.Mutex
	if n > 0 && rand.IntN(2) == 0 {
		req.GetBody = func() (io.ReadCloser, error) {
			b := &requestBody{content: newContent(id, ofRequest, n)}
			mu.Lock()
			defer mu.Unlock()
			again = append(again, b)
			return b, nil
		}
	}
	req.Header.Set("X-Id", fmt.Sprint(id))
	req.Header.Set("X-Size", fmt.Sprint(n))
	req.Header.Set("X-Answer", fmt.Sprint(answer))
	gaveUp := rand.IntN(25) == 0
	if gaveUp {
		time.AfterFunc(time.Duration(rand.IntN(2000))*time.Microsecond, cancel)
	}
	resp, err := w.rt.RoundTrip(req)
	if err == nil {
		outcome, err = w.response(id, n, answer, resp)
	}
	if err != nil {
		outcome = w.explain(id, ctx, gaveUp, err)
	}
	if most := w.s.fates.starts(id); most > 1 && (w.clientKind == own || method == http.MethodPost) {
		w.fault("request %d was given to a handler %d times (%s, body of %d), the end: %s", id, most, method, n, outcome)
	}
	if body != nil {
		mu.Lock()
		defer mu.Unlock()
		for _, b := range append(again, body) {
			w.closed(id, b)
		}
	}
	return outcome
}

// response checks a response by its body.
func (w *pair) response(id uint64, n, answer int64, resp *http.Response) (string, error) {
	defer resp.Body.Close()
	if got := resp.Header.Get("X-Id"); got != fmt.Sprint(id) || resp.ProtoMajor != 2 {
		w.fault("request %d got the response to %s, %s %s", id, got, resp.Proto, resp.Status)
		return "wrong", nil
	}
	if resp.ContentLength >= 0 && resp.ContentLength != answer {
		w.fault("request %d: ContentLength %d, want %d", id, resp.ContentLength, answer)
	}
	limit := int64(-1)
	if answer > 0 && rand.IntN(25) == 0 {
		limit = rand.Int64N(answer)
	}
	if err := newContent(id, ofResponse, answer).checkAll(resp.Body, limit); err != nil {
		return "", err
	}
	switch isEarly := w.s.fates.is(id, early); {
	case limit >= 0:
		return "left by the client", nil
	case isEarly != (resp.StatusCode == http.StatusRequestEntityTooLarge):
		w.fault("request %d: status %d, though answered early: %t", id, resp.StatusCode, isEarly)
	case isEarly:
		return "answered early", nil
	case n > 0 && !w.s.fates.is(id, wholeGot):
		w.fault("request %d has succeeded, though its handler has not seen all of its body", id)
	case w.s.fates.is(id, aborted) && w.s.fates.starts(id) == 1:
		w.fault("request %d has succeeded, though its handler has aborted it", id)
	}
	return "whole", nil
}

// explain names what an error says, and has it for a fault if nothing explains it.
func (w *pair) explain(id uint64, ctx context.Context, gaveUp bool, err error) string {
	var se *frame.StreamError
	var ce *frame.ConnError
	text := err.Error()
	has := func(s ...string) bool {
		return slices.ContainsFunc(s, func(s string) bool { return strings.Contains(text, s) })
	}
	switch {
	case errors.As(err, new(wrongContent)):
		w.fault("request %d: %v", id, err)
		return "wrong"
	case gaveUp && errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded):
		w.fault("request %d: %v (%v)", id, context.Cause(ctx), err)
		return "hung"
	case errors.As(err, &se) && se.Initiator == frame.Remote && se.Code == frame.RefusedStream, has("; REFUSED_STREAM"):
		return "refused"
	case has("GOAWAY"):
		return "after GOAWAY"
	case (errors.As(err, &se) && se.Initiator == frame.Remote || has("received from peer")) && w.s.fates.is(id, aborted):
		return "aborted"
	case errors.As(err, &ce) && ce.Initiator == frame.Local && ce.Code == frame.NoError:
		return "connection lost"
	case has("connection reset by peer", "broken pipe", "unexpected EOF", "client connection lost",
		"client connection force closed", "client conn is closed",
		"server closed idle connection", "http2: client conn not usable") || text == "EOF":
		return "connection lost"
	case has("cannot retry err") || w.clientKind != own && has("cannot rewind body after connection loss"):
		return "not sent again"
	case w.clientKind == netHTTP && has("use of closed network connection"):
		return "connection lost"
	}
	if pe := (*conn.PanicError)(nil); errors.As(err, &pe) {
		w.fault("request %d: %v\n%s", id, err, pe.Stack)
		return "panic"
	}
	w.fault("request %d, aborted %t, started %d times: nothing explains %T %v",
		id, w.s.fates.is(id, aborted), w.s.fates.starts(id), err, err)
	return "unexplained"
}

// closed waits until a body is closed. (net/http forgets the body that it got from GetBody for an
// attempt that found no stream free.)
func (w *pair) closed(id uint64, b *requestBody) {
	if w.clientKind != netHTTP && !poll(func() bool { return b.closes.Load() > 0 }) {
		w.fault("request %d: its body was never closed", id)
	}
	if b.shared.Load() {
		w.fault("request %d: two Reads of its body at once", id)
	}
}

// fault reports one kind of fault at most three times, so that the log can be read.
func (w *pair) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range 3 {
		if key := fmt.Sprint(format, i); !w.seen[key] {
			w.seen[key] = true
			w.t.Errorf(format, args...)
			return
		}
	}
}

// end closes all, and looks for what is left.
func (w *pair) end(goroutines int) {
	if !poll(func() bool { return w.s.running.Load() == 0 }) {
		w.t.Errorf("%d handlers still run", w.s.running.Load())
	}
	// A dial that is under way when its request is given up becomes an idle connection later.
	idle := w.rt.(interface{ CloseIdleConnections() })
	if !poll(func() bool {
		idle.CloseIdleConnections()
		return w.stats().Conns == 0 && w.s.conns.Load() == 0
	}) {
		w.t.Errorf("connections are left: %d of the client, %d of the server", w.stats().Conns, w.s.conns.Load())
	}
	if st := w.s.stats(); st.Open != 0 || st.Running != 0 || st.Queued != 0 || st.Conn.Streams != 0 {
		w.t.Errorf("at the server is left: %+v", st)
	}
	w.s.stop()
	if !poll(func() bool { return runtime.NumGoroutine() <= goroutines }) {
		buf := make([]byte, 1<<20)
		w.t.Errorf("%d goroutines are left, there were %d:\n%s",
			runtime.NumGoroutine(), goroutines, buf[:runtime.Stack(buf, true)])
	}
	close(w.s.faults)
	for s := range w.s.faults {
		w.t.Error(s)
	}
	total := 0
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(w.outcomes)) {
		total += w.outcomes[k]
		parts = append(parts, fmt.Sprintf("%d %s", w.outcomes[k], k))
	}
	w.t.Logf("%d requests: %s; %d connections, %d killed, %d ended by policy; %d aborted, %d refused; %+v", total,
		strings.Join(parts, ", "), w.s.opened.Load(), w.s.killed.Load(), w.s.goneBad.Load(), w.s.aborted.Load(),
		w.s.refused.Load(), w.stats())
	if total >= 100 && w.outcomes["whole"]*2 < total {
		w.t.Errorf("%d of %d requests have succeeded", w.outcomes["whole"], total)
	}
}

// poll waits for a condition, which a busy machine may take long to meet.
func poll(ok func() bool) bool {
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
