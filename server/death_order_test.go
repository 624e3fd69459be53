//go:build !nethttpomithttp2

package server

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// deathRounds and deathStreams: the order of two goroutines is seen to be wrong now and then only.
const deathRounds, deathStreams = 10, 50

// A handler that sees an error of its stream finds the request's context done, whatever has ended
// the stream and whichever call has returned the error.
func TestContextEndsBeforeErrors(t *testing.T) {
	late := func(w http.ResponseWriter) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	}
	for name, c := range map[string]struct {
		before func(w http.ResponseWriter)
		end    func(p *peer, id uint32) // of one stream
		last   func(p *peer)            // of the connection
		std    bool                     // net/http does the same
	}{
		"reset":    {end: func(p *peer, id uint32) { p.send(frame.RSTStream{StreamID: id, Code: frame.Cancel}) }, std: true},
		"lost":     {last: func(p *peer) { _ = p.nc.(net.Conn).(*net.TCPConn).SetLinger(0); _ = p.nc.Close() }},
		"too much": {last: func(p *peer) { p.send(frame.Data{StreamID: 0x7fffffff, Data: []byte("x")}) }},
		"deadline": {before: late},
	} {
		for _, kind := range []string{kindServer, kindConfigure, kindNetHTTP} {
			for call, f := range failingCalls {
				if kind == kindNetHTTP && (!c.std || call != "Read") {
					continue
				}
				t.Run(name+" "+call+" "+kind, func(t *testing.T) {
					var wrong atomic.Int32
					var handlers, ready sync.WaitGroup
					h := func(w http.ResponseWriter, r *http.Request) {
						defer handlers.Done()
						if c.before != nil {
							c.before(w)
						}
						ctx := r.Context()
						if r.URL.Path == "/watched" {
							_ = ctx.Err()
						}
						ready.Done()
						if err := f(w, r); ctx.Err() == nil {
							wrong.Add(1)
							t.Logf("%v", err)
						}
					}
					dial := listenKind(t, kind, h)
					for round := range deathRounds {
						p := peerOnSocket(t, dial())
						handlers.Add(deathStreams)
						ready.Add(deathStreams)
						path := []string{"/watched", "/"}[round%2]
						for i := range deathStreams {
							p.send(p.request(uint32(2*i+1), "POST", path, false))
						}
						ready.Wait()
						for i := range deathStreams {
							if c.end != nil {
								c.end(p, uint32(2*i+1))
							}
						}
						if c.last != nil {
							c.last(p)
						}
						handlers.Wait()
						_ = p.nc.Close()
					}
					if n := wrong.Load(); n > 0 {
						t.Errorf("%d of %d handlers saw the error before their context was done", n, deathRounds*deathStreams)
					}
				})
			}
		}
	}
}

// failingCalls make a call of a handler until it fails.
var failingCalls = map[string]func(http.ResponseWriter, *http.Request) error{
	"Read": func(_ http.ResponseWriter, r *http.Request) error {
		_, err := io.Copy(io.Discard, r.Body)
		return err
	},
	"Write": func(w http.ResponseWriter, _ *http.Request) error {
		for {
			if _, err := w.Write(make([]byte, 8<<10)); err != nil {
				return err
			}
		}
	},
	"Flush": func(w http.ResponseWriter, _ *http.Request) error {
		for {
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
			waitABit()
		}
	},
}

// peerOnSocket is a peer that reads nothing.
func peerOnSocket(t *testing.T, nc net.Conn) *peer {
	t.Helper()
	p := &peer{t: t, nc: nc.(halfCloser), codec: h2test.NewCodec()}
	p.write(append(frame.AppendSettings([]byte(frame.Preface)), frame.AppendSettingsAck(nil)...))
	return p
}

// listenKind serves cleartext on a TCP socket and returns a function that connects.
func listenKind(t *testing.T, kind string, h http.HandlerFunc) (dial func() net.Conn) {
	t.Helper()
	if kind == kindServer {
		return listenLocal(t, serving(h), false)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	srv := &http.Server{Handler: h, Protocols: &p} //nolint:gosec // peers are of this test
	if kind == kindConfigure {
		if err := Configure(srv, nil); err != nil {
			t.Fatal(err)
		}
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-served
	})
	return func() net.Conn {
		t.Helper()
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(fmt.Errorf("dial: %w", err))
		}
		return nc
	}
}
