package client

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// promise is a PUSH_PROMISE on stream 1.
func (p *peer) promise(id uint32, pairs ...string) frame.PushPromise {
	fields := []hpack.HeaderField{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "example.test"},
		{Name: ":path", Value: "/pushed"},
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		set := false
		for j := range fields {
			if fields[j].Name == pairs[i] {
				fields[j].Value, set = pairs[i+1], true
			}
		}
		if !set {
			fields = append(fields, hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
		}
	}
	return frame.PushPromise{StreamID: 1, PromisedID: id, EndHeaders: true, Fragment: p.codec.Block(fields...)}
}

func TestPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pushes := make(chan *Push)
		over := make(chan bool)
		f := newTestDialer(t, func(t *Transport) {
			t.PushHandler = PushHandlerFunc(func(p *Push) {
				pushes <- p
				<-over
			})
		})
		r := f.get()
		p := f.accept()
		p.request()
		// The promise, the response to the request and the pushed one in a single write.
		p.send(
			p.promise(2, "accept", "x"),
			h2test.Response(1, 204).End(),
			h2test.Response(2, 103),
			h2test.Response(2, 200, "a: b"),
			h2test.DataEnd(2, "pushed body"),
		)
		r.response()
		push := <-pushes
		if q := push.Request; q.URL.String() != "http://example.test/pushed" || q.Method != "GET" ||
			q.Header.Get("Accept") != "x" ||
			push.Parent.URL.Path != "/" {
			t.Errorf("promised %+v", q)
		}
		resp, err := push.Response(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		over <- true
		if got := readAll(t, resp); got != "pushed body" || resp.Header.Get("A") != "b" || resp.Request != push.Request {
			t.Errorf("%q, %+v", got, resp)
		}
		if _, err := push.Response(t.Context()); err == nil {
			t.Error("the response can be had twice")
		}

		// One that is not taken, one that is cancelled while it is awaited.
		r = f.get()
		p.request()
		promise := p.promise(4)
		promise.StreamID = 3
		p.send(promise)
		<-pushes
		over <- true
		p.wantReset(4, frame.Cancel)
		promise = p.promise(6)
		promise.StreamID = 3
		p.send(promise)
		push = <-pushes
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := push.Response(ctx)
			done <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-done; err == nil {
			t.Error("no error")
		}
		over <- true
		p.wantReset(6, frame.Cancel)
		p.send(h2test.Response(3, 204).End())
		r.response()
		f.close()
		_ = p.nc.Close()
	})
}

// Promises that a server may not make.
func TestBadPush(t *testing.T) {
	tests := []struct {
		name  string
		pairs []string
		code  frame.Code
	}{
		{"POST", []string{":method", "POST"}, frame.ProtocolError},
		{"with content", []string{"content-length", "5"}, frame.ProtocolError},
		{"another host", []string{":authority", "other.test"}, frame.ProtocolError},
		{"another port", []string{":authority", "example.test:81"}, frame.ProtocolError},
		{"another scheme", []string{":scheme", "https"}, frame.ProtocolError},
		{"invalid field", []string{"Upper", "x"}, frame.ProtocolError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t, func(tr *Transport) {
					tr.PushHandler = PushHandlerFunc(func(p *Push) { t.Errorf("handed over: %+v", p.Request) })
				})
				r := f.get()
				p := f.accept()
				p.request()
				p.send(p.promise(2, tt.pairs...))
				p.wantReset(2, tt.code)
				p.send(h2test.Response(1, 204).End())
				r.response()
				f.close()
				_ = p.nc.Close()
			})
		})
	}
}

// No more pushes at once than allowed.
func TestPushLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := make(chan bool)
		f := newTestDialer(t, func(tr *Transport) {
			tr.MaxPushedStreams = 2
			tr.PushHandler = PushHandlerFunc(func(*Push) { <-wait })
		})
		r := f.get()
		p := f.accept()
		p.request()
		p.send(p.promise(2), p.promise(4), p.promise(6))
		p.wantReset(6, frame.RefusedStream)
		close(wait)
		synctest.Wait()
		p.send(h2test.Response(1, 204).End())
		r.response()
		f.close()
		_ = p.nc.Close()
	})
}

// A server that resets what it has promised does not get more calls of a handler that takes its
// time.
func TestPushHandlersLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := make(chan bool)
		var calls atomic.Int32
		f := newTestDialer(t, func(tr *Transport) {
			tr.MaxPushedStreams = 2
			tr.PushHandler = PushHandlerFunc(func(*Push) {
				calls.Add(1)
				<-wait
			})
		})
		r := f.get()
		p := f.accept()
		p.request()
		for id := uint32(2); id <= 6; id += 2 {
			p.send(p.promise(id))
			synctest.Wait()
			p.send(h2test.RST(id, frame.Cancel))
			synctest.Wait()
		}
		p.wantReset(6, frame.RefusedStream)
		if n := calls.Load(); n != 2 {
			t.Errorf("%d calls at once", n)
		}
		close(wait)
		synctest.Wait()
		p.send(p.promise(8))
		synctest.Wait()
		if n := calls.Load(); n != 3 {
			t.Errorf("%d calls in the end", n)
		}
		p.wantReset(8, frame.Cancel)
		p.send(h2test.Response(1, 204).End())
		r.response()
		f.close()
		_ = p.nc.Close()
	})
}
