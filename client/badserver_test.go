package client

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// What a server can do wrong while a response is awaited, and what becomes of it. Every case ends
// in a typed error.
var badServers = []struct {
	name string
	do   func(p *peer)
	want error
}{
	{"SETTINGS_MAX_FRAME_SIZE of 0", func(p *peer) {
		p.send(frame.NewSettings(frame.Setting{ID: frame.SettingMaxFrameSize}))
	}, frame.ProtocolError},
	{"SETTINGS_INITIAL_WINDOW_SIZE too large", func(p *peer) {
		p.send(frame.NewSettings(frame.Setting{ID: frame.SettingInitialWindowSize, Value: 1 << 31}))
	}, frame.FlowControlError},
	{"SETTINGS_ENABLE_PUSH", func(p *peer) {
		p.send(frame.NewSettings(frame.Setting{ID: frame.SettingEnablePush, Value: 1}))
	}, frame.ProtocolError},
	{"PUSH_PROMISE though push is off", func(p *peer) {
		p.send(frame.PushPromise{StreamID: 1, PromisedID: 2, EndHeaders: true, Fragment: p.codec.Block()})
	}, frame.ProtocolError},
	{"DATA before HEADERS", func(p *peer) { p.send(h2test.Data(1, "x")) }, frame.ProtocolError},
	{
		"no :status",
		func(p *peer) { p.send(h2test.Headers(1, "a: b")) },
		frame.ProtocolError,
	},
	{":status 101", func(p *peer) { p.send(h2test.Response(1, 101)) }, frame.ProtocolError},
	{"uppercase name", func(p *peer) { p.send(h2test.Response(1, 200, "Upper: x")) }, frame.ProtocolError},
	{
		"connection-specific field",
		func(p *peer) { p.send(h2test.Response(1, 200, "connection: close")) },
		frame.ProtocolError,
	},
	{"CR in a value", func(p *peer) { p.send(h2test.Response(1, 200, "a: b\rc")) }, frame.ProtocolError},
	{"interim response that ends", func(p *peer) { p.send(h2test.Response(1, 103).End()) }, frame.ProtocolError},
	{
		"content-length without content",
		func(p *peer) { p.send(h2test.Response(1, 200, "content-length: 5").End()) },
		frame.ProtocolError,
	},
	{"two content-lengths", func(p *peer) {
		p.send(h2test.Response(1, 200, "content-length: 5", "content-length: 6"))
	}, frame.ProtocolError},
	{"response on a stream that is idle", func(p *peer) { p.send(h2test.Response(3, 200)) }, frame.ProtocolError},
	{"response on an even stream", func(p *peer) { p.send(h2test.Response(2, 200)) }, frame.ProtocolError},
	{"HPACK garbage", func(p *peer) {
		p.send(frame.Headers{StreamID: 1, EndHeaders: true, Fragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}})
	}, frame.CompressionError},
	{"frame too large", func(p *peer) { p.send(h2test.Data(1, strings.Repeat("x", 16385))) }, frame.FrameSizeError},
	{
		"HTTP/1.1",
		func(p *peer) { p.send([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")) },
		frame.FrameSizeError,
	},
	{"connection window overflow", func(p *peer) {
		p.send(frame.WindowUpdate{Increment: 1<<31 - 1}, frame.WindowUpdate{Increment: 1<<31 - 1})
	}, frame.FlowControlError},
	{"stream window overflow", func(p *peer) {
		p.send(frame.WindowUpdate{StreamID: 1, Increment: 1<<31 - 1})
	}, frame.FlowControlError},
	{"increment of 0", func(p *peer) { p.send(frame.WindowUpdate{StreamID: 1}) }, frame.ProtocolError},
	{"end of the connection", func(p *peer) {
		synctest.Wait() // else it may be found by a write, of the answer to SETTINGS
		_ = p.nc.Close()
	}, io.ErrUnexpectedEOF},
	{"RST_STREAM", func(p *peer) { p.send(h2test.RST(1, frame.InternalError)) }, frame.InternalError},
	{"REFUSED_STREAM", func(p *peer) { p.send(h2test.RST(1, frame.RefusedStream)) }, frame.RefusedStream},
	{"GOAWAY with a lower stream", func(p *peer) { p.send(h2test.GoAway(0, frame.NoError, "")) }, frame.RefusedStream},
	{"GOAWAY for an error, and the end", func(p *peer) {
		p.send(h2test.GoAway(1, frame.EnhanceYourCalm, ""))
		_ = p.nc.Close()
	}, frame.EnhanceYourCalm},
	{"endless interim responses", func(p *peer) {
		for range 3000 {
			p.send(h2test.Response(1, 103, "link: "+strings.Repeat("a", 4000)))
		}
	}, frame.EnhanceYourCalm},
	{"interim responses of too many octets", func(p *peer) {
		for range 10 {
			p.send(h2test.Response(1, 103, "a: "+strings.Repeat("x", 60<<10))) // more than one frame takes
		}
	}, frame.FrameSizeError},
	{"endless CONTINUATION", func(p *peer) {
		p.send(frame.Headers{StreamID: 1, Fragment: p.codec.Block(h2test.Response(1, 200).Fields...)})
		for range 1000 {
			p.send(frame.Continuation{StreamID: 1})
		}
	}, frame.EnhanceYourCalm},
	{"header bomb", func(p *peer) {
		p.send(
			frame.Headers{
				StreamID: 1,
				Fragment: p.codec.Block(h2test.Response(1, 200, "x: "+strings.Repeat("y", 3000)).Fields...),
			},
		)
		for i := range 8 {
			p.send(frame.Continuation{StreamID: 1, EndHeaders: i == 7, Fragment: []byte(strings.Repeat("\xbe", 16000))})
		}
	}, errHeaderTooLarge},
	{"SETTINGS flood", func(p *peer) {
		for range 3000 {
			p.send(frame.NewSettings())
		}
	}, frame.EnhanceYourCalm},
}

func TestBadServers(t *testing.T) {
	for _, tt := range badServers {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t)
				r := f.get()
				p := f.accept()
				p.request()
				start := time.Now()
				go io.Copy(io.Discard, p.r) // else what the client answers fills the connection
				tt.do(p)
				err := r.wantErr(tt.want)
				if d := time.Since(start); d > time.Second {
					t.Errorf("it took %v", d)
				}
				var e *Error
				if !errors.As(err, &e) || e.Addr != "server:1" {
					t.Errorf("the error is a %T: %v", err, err)
				}
				f.close()
				_ = p.nc.Close()
			})
		})
	}
}

var badBodiesTests = []struct {
	name string
	do   func(p *peer)
	want error
}{
	{"window overflow", func(p *peer) { // net/http of Go 1.26 hangs for ever: golang/go#77331
		p.send(frame.WindowUpdate{StreamID: 1, Increment: 1<<31 - 1}, frame.WindowUpdate{StreamID: 1, Increment: 1<<31 - 1})
	}, frame.FlowControlError},
	{"more than content-length", func(p *peer) { p.send(h2test.Data(1, "0123456789")) }, frame.ProtocolError},
	{"less than content-length", func(p *peer) { p.send(h2test.DataEnd(1, "0")) }, io.ErrUnexpectedEOF},
	{"trailers that do not end", func(p *peer) { p.send(h2test.Response(1, 200)) }, frame.ProtocolError},
	{"pseudo-header field in trailers", func(p *peer) { p.send(h2test.Response(1, 200).End()) }, frame.ProtocolError},
	{"end of the connection", func(p *peer) { _ = p.nc.Close() }, io.ErrUnexpectedEOF},
	{"RST_STREAM", func(p *peer) { p.send(h2test.RST(1, frame.InternalError)) }, frame.InternalError},
	{"RST_STREAM with NO_ERROR", func(p *peer) { p.send(h2test.RST(1, frame.NoError)) }, frame.NoError},
	{"more than the window", func(p *peer) {
		for range 5 << 20 / 16384 {
			p.send(h2test.Data(1, strings.Repeat("x", 16384)))
		}
	}, frame.ProtocolError}, // content-length is noticed first
	{"endless empty DATA", func(p *peer) {
		for range 1000 {
			p.send(h2test.Data(1, ""))
		}
	}, frame.EnhanceYourCalm},
	{"GOAWAY for an error, and the end", func(p *peer) {
		p.send(h2test.GoAway(1, frame.EnhanceYourCalm, ""))
		_ = p.nc.Close()
	}, frame.EnhanceYourCalm},
}

// The same while a response is read.
func TestBadBodies(t *testing.T) {
	for _, tt := range badBodiesTests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t)
				r := f.get()
				p := f.accept()
				p.request()
				p.send(h2test.Response(1, 200, "content-length: 8"))
				resp := r.response()
				go io.Copy(io.Discard, p.r)
				done := make(chan error)
				go func() {
					_, err := io.ReadAll(resp.Body)
					done <- err
				}()
				synctest.Wait()
				tt.do(p)
				err := <-done
				if !errors.Is(err, tt.want) || errors.Is(err, io.EOF) {
					t.Errorf("Read: %v, want %v", err, tt.want)
				}
				if _, again := resp.Body.Read(make([]byte, 1)); again != err {
					t.Errorf("the second Read: %v", again)
				}
				_ = resp.Body.Close()
				f.close()
				_ = p.nc.Close()
			})
		})
	}
}

// DATA that comes after the end of its stream is an error of the stream, which is over, and not of
// the next request.
func TestDataAfterEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		r := f.get()
		p := f.accept()
		p.request()
		p.send(h2test.Response(1, 200), h2test.DataEnd(1, "ok"), h2test.Data(1, "late"))
		if got := readAll(t, r.response()); got != "ok" {
			t.Errorf("body %q", got)
		}
		f.close()
		_ = p.nc.Close()
	})
}

// What a header bomb makes us hold is bounded.
func TestHeaderBombMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		r := f.get()
		p := f.accept()
		p.request()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		p.send(
			frame.Headers{
				StreamID: 1,
				Fragment: p.codec.Block(h2test.Response(1, 200, "x: "+strings.Repeat("y", 3000)).Fields...),
			},
		)
		for i := range 20 {
			p.send(frame.Continuation{StreamID: 1, EndHeaders: i == 19, Fragment: []byte(strings.Repeat("\xbe", 16000))})
		}
		r.wantErr(errHeaderTooLarge)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 10<<20 {
			t.Errorf("%d octets were allocated", n)
		}
		f.close()
		_ = p.nc.Close()
	})
}

// A server that never reads holds up neither cancellation nor other connections, and a request that
// was cancelled keeps its slot until RST_STREAM was sent.
func TestServerNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialerOn(
			t,
			testLinkOf(memconn.Options{Buffer: 1000}),
			func(t *Transport) { t.StrictMaxConcurrentStreams = true },
		)
		cc := &Transport{Proxy: noProxy}
		nc, err := f.l.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		c, _ := cc.NewClientConn(nc)
		p := f.accept(frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: 2})
		synctest.Wait()
		var calls []*result
		for range 2 {
			req := newRequest(t, "GET", testURL+"/"+strings.Repeat("x", 900), nil)
			calls = append(calls, startOn(t, c, req))
		}
		synctest.Wait()
		for _, r := range calls {
			r.wantWaiting("nothing is read")
			r.stop()
			<-r.done
		}
		if s := c.State(); s.Available != 0 || s.InFlight != 2 {
			t.Errorf("slots are free though the server cannot know: %+v", s)
		}
		for range 2 {
			p.request()
		}
		for resets := 0; resets < 2; { // in any order, and with a PING that asks whether the server is there
			switch f := p.next().(type) {
			case frame.RSTStream:
				resets++
			case frame.Ping:
			default:
				t.Fatalf("got %v, want RST_STREAM", f)
			}
		}
		synctest.Wait()
		if s := c.State(); s.Available != 2 || s.InFlight != 0 {
			t.Errorf("slots are taken though the server knows: %+v", s)
		}
		_ = c.Close()
		<-c.Done()
		f.close()
	})
}

// A server that stops answering is found by PING, and its requests fail.
func TestServerStopsAnswering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		r := f.get()
		p := f.accept()
		p.request()
		start := time.Now()
		err := r.wantErr(frame.NoError)
		if !contains(err.Error(), "PING not answered") {
			t.Error(err)
		}
		if d := time.Since(start); d != 45*time.Second {
			t.Errorf("it took %v", d)
		}
		if _, ok := p.next().(frame.Ping); !ok {
			t.Error("no PING was sent")
		}
		f.close()
	})
}

// Between two keepalive PINGs there is traffic, or five minutes where a request runs.
func TestPingBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		r := f.get()
		p := f.accept()
		p.request()
		var pings atomic.Int32
		go func() {
			for {
				switch m := p.next().(type) {
				case frame.Ping:
					if !m.Ack {
						pings.Add(1)
						p.send(frame.Ping{Ack: true, Data: m.Data})
					}
				case nil:
					return
				}
			}
		}()
		time.Sleep(time.Hour)
		if n := pings.Load(); n < 10 || n > 12 {
			t.Errorf("%d PINGs in an hour without traffic", n)
		}
		pings.Store(0)
		p.send(h2test.Response(1, 200))
		resp := r.response()
		time.Sleep(time.Hour)
		if n := pings.Load(); n < 10 || n > 12 {
			t.Errorf("%d PINGs in another hour", n)
		}
		_ = resp.Body.Close()
		f.close()
		_ = p.nc.Close()
	})
}
