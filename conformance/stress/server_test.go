package stress

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/server"
)

// The kinds of servers and clients.
const (
	own       = "sluice"    // server.Server, client.Transport
	configure = "configure" // http.Server and http.Transport with Configure
	netHTTP   = "net-http"  // http.Server and http.Transport as they are
)

// fates are what has become of a request at the server, by its number.
type fates struct{ list []atomic.Uint32 }

const (
	started  = 1 << iota // times 1 to 15
	aborted  = 1 << 4    // by a panic
	wholeGot = 1 << 5    // the handler has read all of the body
	early    = 1 << 6    // the handler has answered without reading
)

func (f *fates) add(id uint64, n uint32) uint32 { return f.list[id].Add(n) }
func (f *fates) starts(id uint64) uint32        { return f.list[id].Load() & 15 }
func (f *fates) is(id uint64, what uint32) bool { return f.list[id].Load()&what != 0 }

// faulty is a server that does wrong, in ways that HTTP/2 provides for.
type faulty struct {
	url     string
	fates   *fates
	faults  chan string // of handlers
	running atomic.Int64
	conns   atomic.Int64 // that are open
	opened  atomic.Int64
	killed  atomic.Int64
	refused atomic.Int64
	aborted atomic.Int64
	goneBad atomic.Int64 // connections ended by the frame policy
	stop    func()
	stats   func() server.Stats
}

type connKey struct{}

func (s *faulty) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
		s.opened.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.conns.Add(-1)
	}
}

// policy refuses one request in 16, and ends a connection now and then.
func (s *faulty) policy(_ *conn.Conn, h frame.Header, _ []byte) error {
	if h.Type != frame.TypeHeaders {
		return nil
	}
	switch rand.IntN(1600) {
	case 0:
		s.goneBad.Add(1)
		return errors.New("of the test")
	case 1, 2, 3:
		return &frame.StreamError{StreamID: h.StreamID, Code: frame.RefusedStream}
	}
	if rand.IntN(16) == 0 {
		s.refused.Add(1)
		return conn.ErrDropFrame
	}
	return nil
}

// ServeHTTP does what a hash of the request's number says.
func (s *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.running.Add(1)
	defer s.running.Add(-1)
	id, _ := strconv.ParseUint(r.Header.Get("X-Id"), 10, 64)
	size, _ := strconv.ParseInt(r.Header.Get("X-Size"), 10, 64)
	answer, _ := strconv.ParseInt(r.Header.Get("X-Answer"), 10, 64)
	if id >= uint64(len(s.fates.list)) || r.ContentLength >= 0 && r.ContentLength != size {
		s.fault(id, "a request with ContentLength %d of %d", r.ContentLength, size)
		return
	}
	s.fates.add(id, started)
	got, plan := newContent(id, ofRequest, size), rand.IntN(1000)
	w.Header().Set("X-Id", r.Header.Get("X-Id"))
	if rand.IntN(2) == 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(answer, 10))
	}
	var before int64 // octets that are read before something happens
	if size > 0 {
		before = rand.Int64N(size)
	}
	switch {
	case plan < 5:
		_ = got.checkAll(r.Body, before)
		s.killed.Add(1)
		_ = r.Context().Value(connKey{}).(net.Conn).Close()
	case plan < 10:
		w.Header().Set("Connection", "close") // a graceful GOAWAY
	case plan < 60:
		s.abort(w, r, got, before, answer)
	case plan < 110 && size > 0:
		s.fates.add(id, early)
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		s.answer(w, id, answer)
		return
	case plan < 200:
		s.atOnce(w, r, got, answer)
		return
	}
	if s.got(id, got.checkAll(r.Body, -1)) {
		s.answer(w, id, answer)
	}
}

// got checks what has come of a request's body, and reports whether it is all there.
func (s *faulty) got(id uint64, err error) bool {
	if fault := (wrongContent{}); errors.As(err, &fault) {
		s.fault(id, "%v", fault)
	}
	if err == nil {
		s.fates.add(id, wholeGot)
	}
	return err == nil
}

// abort reads a part, sends a part, and panics.
func (s *faulty) abort(w http.ResponseWriter, r *http.Request, got *content, before, answer int64) {
	id, _ := strconv.ParseUint(r.Header.Get("X-Id"), 10, 64)
	s.fates.add(id, aborted)
	s.aborted.Add(1)
	_ = got.checkAll(r.Body, before)
	if answer > 0 && rand.IntN(2) == 0 {
		_, _ = io.CopyN(w, newContent(id, ofResponse, answer), rand.Int64N(answer))
	}
	panic(http.ErrAbortHandler)
}

// atOnce reads and writes side by side.
func (s *faulty) atOnce(w http.ResponseWriter, r *http.Request, got *content, answer int64) {
	id, _ := strconv.ParseUint(r.Header.Get("X-Id"), 10, 64)
	done := make(chan bool)
	go func() { done <- s.got(id, got.checkAll(r.Body, -1)) }()
	s.answer(w, id, answer)
	if !<-done {
		panic(http.ErrAbortHandler)
	}
}

// answer sends the response's body in one of many ways.
func (s *faulty) answer(w http.ResponseWriter, id uint64, size int64) {
	body := newContent(id, ofResponse, size)
	if rand.IntN(3) == 0 {
		_, _ = io.Copy(w, body)
		return
	}
	var space [16 << 10]byte
	for buf := space[:1+rand.IntN(len(space))]; ; {
		n, err := body.Read(buf)
		if _, failed := w.Write(buf[:n]); failed != nil {
			return
		}
		if rand.IntN(4) == 0 {
			_ = http.NewResponseController(w).Flush()
		}
		if err != nil {
			return
		}
	}
}

func (s *faulty) fault(id uint64, format string, args ...any) {
	select {
	case s.faults <- fmt.Sprintf("the handler of request %d: ", id) + fmt.Sprintf(format, args...):
	default:
	}
}

// panicLog is the server's log: a panic in it is a fault.
type panicLog struct{ s *faulty }

func (l panicLog) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("panic")) {
		select {
		case l.s.faults <- "the server has logged: " + string(p):
		default:
		}
	}
	return len(p), nil
}

// newFaulty starts a server of a kind.
func newFaulty(t *testing.T, kind string, secure *tls.Config, f *fates) *faulty {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &faulty{fates: f, faults: make(chan string, 20), stats: func() (none server.Stats) { return none }}
	s.url = "http://" + l.Addr().String()
	if secure != nil {
		s.url = "https://" + l.Addr().String()
	}
	logger := log.New(panicLog{s}, "", 0)
	inContext := func(ctx context.Context, nc net.Conn) context.Context { return context.WithValue(ctx, connKey{}, nc) }
	cfg := server.Config{
		FramePolicy: s.policy, MaxConnectionAge: 300 * time.Millisecond,
		MaxConcurrentStreams: 1 + rand.IntN(100),
	}
	std := &http.Server{
		Handler: s, TLSConfig: secure, ErrorLog: logger, ConnState: s.connState, ConnContext: inContext,
		Protocols: protocols(),
	}
	var serve func() error
	shut := std.Close
	if kind == own {
		srv := &server.Server{
			Handler: s, TLSConfig: secure, ErrorLog: logger, ConnState: s.connState, ConnContext: inContext,
			Protocols: protocols(), Config: cfg,
		}
		s.stats, shut = srv.Stats, srv.Close
		serve = func() error { return srv.Serve(l) }
		if secure != nil {
			serve = func() error { return srv.ServeTLS(l, "", "") }
		}
	} else {
		if kind == configure {
			if err := server.Configure(std, &cfg); err != nil {
				t.Fatal(err)
			}
		}
		serve = func() error { return std.Serve(l) }
		if secure != nil {
			serve = func() error { return std.ServeTLS(l, "", "") }
		}
	}
	served := make(chan error, 1)
	go func() { served <- serve() }()
	s.stop = func() {
		_ = shut()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	}
	return s
}

// protocols has HTTP/2 only.
func protocols() *http.Protocols {
	var p http.Protocols
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return &p
}
