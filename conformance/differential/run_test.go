//go:build !nethttpomithttp2

package differential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/server"
)

// side is what one side has seen.
type side struct {
	mu   sync.Mutex
	list []string
}

func (s *side) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, fmt.Sprintf(format, args...))
}

// header records fields in a fixed order, without Date.
func (s *side) header(what string, h http.Header) {
	for _, k := range slices.Sorted(maps.Keys(h)) {
		if k != "Date" {
			s.add("%s %s: %q", what, k, h[k])
		}
	}
}

// outcome names an error by what a program may ask of it.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	for _, known := range []error{
		io.ErrUnexpectedEOF, context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, http.ErrBodyNotAllowed,
		http.ErrContentLength, http.ErrBodyReadAfterClose, errors.ErrUnsupported, errOfBody,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if err == io.EOF {
		return "EOF"
	}
	return "error"
}

var errOfBody = errors.New("error of the body")

func octets(n int) []byte { return bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n] }

// handle runs a handler's program.
func handle(n *side, steps []step, w http.ResponseWriter, r *http.Request) {
	n.add("%s %s %s %s length %d", r.Method, r.RequestURI, r.Proto, r.Host, r.ContentLength)
	n.header("request", r.Header)
	n.header("announced", r.Trailer)
	for _, s := range steps {
		time.Sleep(10 * time.Millisecond)
		if r.Context().Err() != nil {
			n.add("the context is done: %v", r.Context().Err())
			return // what calls give from now on is in the list of differences
		}
		if handleStep(n, s, w, r) {
			return
		}
	}
}

func handleStep(n *side, s step, w http.ResponseWriter, r *http.Request) (done bool) {
	rc := http.NewResponseController(w)
	key, value, _ := strings.Cut(s.s, ":")
	var err error
	k := int64(-1)
	switch s.op {
	case "set":
		w.Header()[key] = []string{value}
	case "add":
		w.Header()[key] = append(w.Header()[key], value)
	case "nil":
		w.Header()[key] = nil
	case "length":
		w.Header().Set("Content-Length", fmt.Sprint(s.n))
	case "status", "interim":
		w.WriteHeader(s.n)
	case "write":
		var c int
		c, err = w.Write(octets(s.n))
		k = int64(c)
	case "copy":
		k, err = io.Copy(w, bytes.NewReader(octets(s.n)))
	case "flush":
		err = rc.Flush()
	case "read":
		var c int
		c, err = io.ReadFull(r.Body, make([]byte, s.n))
		k = int64(c)
	case "readAll":
		k, err = io.Copy(io.Discard, r.Body)
		n.header("trailer", r.Trailer)
	case "closeBody":
		err = r.Body.Close()
	case "trailer":
		w.Header().Add("Trailer", s.s)
	case "late":
		w.Header().Set(s.s, "late")
	case "readDeadline":
		err = rc.SetReadDeadline(time.Now().Add(time.Duration(s.n) * time.Millisecond))
	case "writeDeadline":
		err = rc.SetWriteDeadline(time.Now().Add(time.Duration(s.n) * time.Millisecond))
	case "hijack":
		_, _, err = rc.Hijack()
	case "push":
		err = w.(http.Pusher).Push("/pushed", nil)
	case "duplex":
		err = rc.EnableFullDuplex()
	case "maxBytes":
		r.Body = http.MaxBytesReader(w, r.Body, int64(s.n))
	case "await":
		select {
		case <-r.Context().Done():
		case <-time.After(time.Second):
		}
		err = r.Context().Err()
	case "pause":
		time.Sleep(50 * time.Millisecond)
	case "panic":
		panic("of the program")
	case "abort":
		panic(http.ErrAbortHandler)
	case "exit":
		runtime.Goexit()
	case "return":
		return true
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		k = -1 // how much has come by then is no promise
	}
	if r.Context().Err() == nil {
		n.add("%v: %d %s", s, k, outcome(err))
	}
	return false
}

// body is a request's body.
type body struct {
	kind string
	left int
}

func (b *body) Read(p []byte) (int, error) {
	if b.kind == "slow" {
		time.Sleep(3 * time.Millisecond)
		p = p[:min(len(p), 1+b.left/4)]
	}
	n := copy(p, octets(min(b.left, len(p))))
	b.left -= n
	switch {
	case n > 0:
		return n, nil
	case b.kind == "fails":
		time.Sleep(time.Second) // the handler is through
		return n, errOfBody
	case b.kind == "short":
		time.Sleep(time.Second)
	}
	return n, io.EOF
}

// send runs a client's program.
func send(n *side, steps []step, rt http.RoundTripper) {
	// net/http leaves a handler in Read where its write deadline resets the stream.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	first := steps[0]
	var rd io.Reader
	switch first.op {
	case "bytes":
		rd = bytes.NewReader(octets(first.n))
	case "stream", "short", "fails", "slow":
		rd = &body{first.op, first.n}
	}
	var timeout time.Duration
	req, err := http.NewRequestWithContext(ctx, first.s, "http://example.test/path?q=1", rd)
	if err != nil {
		panic(err)
	}
	if first.op == "short" {
		req.ContentLength = int64(first.n) + 5
	}
	for _, s := range steps[1:] {
		switch s.op {
		case "header":
			key, value, _ := strings.Cut(s.s, ":")
			req.Header.Set(key, value)
		case "expect":
			req.Header.Set("Expect", "100-continue")
		case "requestTrailer":
			req.Trailer = http.Header{s.s: {"of the request"}}
		case "cancel":
			time.AfterFunc(time.Duration(s.n)*time.Millisecond, cancel)
		case "timeout":
			timeout = time.Duration(s.n) * time.Millisecond
		}
	}
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			n.add("interim %d", code)
			n.header("interim", http.Header(h))
			return nil
		},
	}))
	hc := &http.Client{Transport: rt, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	resp, err := hc.Do(req)
	if err != nil {
		n.add("no response: %s", outcome(err))
		return
	}
	n.response(resp, steps)
}

func (s *side) response(resp *http.Response, steps []step) {
	s.add("%s %s length %d, uncompressed %t", resp.Proto, resp.Status, resp.ContentLength, resp.Uncompressed)
	s.header("response", resp.Header)
	s.header("announced", resp.Trailer)
	for _, st := range append(slices.Clone(steps), step{op: "readAll"}, step{op: "close"}) {
		switch st.op {
		case "read":
			k, err := io.ReadFull(resp.Body, make([]byte, st.n))
			s.add("%v: %d %s", st, k, outcome(err))
		case "readAll":
			k, err := io.Copy(io.Discard, resp.Body)
			s.add("%v: %d %s", st, k, outcome(err))
			s.header("trailer", resp.Trailer)
		case "close":
			time.Sleep(3 * time.Millisecond) // not at the instant of a step of the handler
			s.add("close: %s", outcome(resp.Body.Close()))
			return // what Read gives then depends on when the end has come
		case "pause":
			time.Sleep(30 * time.Millisecond)
		}
	}
}

// pair is a kind of client and one of server.
type pair struct{ client, server string }

// The kinds.
const (
	netHTTP   = "net/http"
	own       = "sluice"
	configure = "configure"
)

// run runs a program with a pair, and returns what the handler and the client have seen.
func (p program) run(t *testing.T, kinds pair) (seen string) {
	synctest.Test(t, func(t *testing.T) {
		l := memconn.Listen(memconn.Options{})
		var h, c side
		stop := serve(t, kinds.server, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/path" {
				handle(&h, p.handler, w, r)
			}
		}))
		rt := transport(t, kinds.client, l)
		send(&c, p.client, rt)
		time.Sleep(2 * time.Second)
		resp, err := (&http.Client{Transport: rt}).Get("http://example.test/after")
		if err != nil {
			c.add("after: %v", err)
		} else {
			c.add("after: %s, %v", resp.Status, resp.Body.Close())
		}
		rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
		stop()
		synctest.Wait()
		seen = "handler:\n" + strings.Join(h.list, "\n") + "\nclient:\n" + strings.Join(c.list, "\n")
	})
	return seen
}

func protocols() *http.Protocols {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	return &p
}

func serve(t *testing.T, kind string, l *memconn.Listener, h http.Handler) (stop func()) {
	logger := log.New(io.Discard, "", 0)
	std := &http.Server{Handler: h, ErrorLog: logger, Protocols: protocols()}
	serve, shut := std.Serve, std.Close
	switch kind {
	case own:
		srv := &server.Server{Handler: h, ErrorLog: logger, Protocols: protocols()}
		serve, shut = srv.Serve, srv.Close
	case configure:
		if err := server.Configure(std, nil); err != nil {
			t.Fatal(err)
		}
	}
	served := make(chan error, 1)
	go func() { served <- serve(l) }()
	return func() {
		_ = shut()
		<-served
	}
}

func transport(t *testing.T, kind string, l *memconn.Listener) http.RoundTripper {
	if kind == own {
		return &client.Transport{DialContext: l.Dial, Protocols: protocols(), ExpectContinueTimeout: time.Second}
	}
	t1 := &http.Transport{DialContext: l.Dial, Protocols: protocols(), ExpectContinueTimeout: time.Second}
	if kind == configure {
		if _, err := client.Configure(t1); err != nil {
			t.Fatal(err)
		}
	}
	return t1
}
