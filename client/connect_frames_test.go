package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// connecting is a call of Connect that runs.
type connecting struct {
	done   chan struct{}
	tunnel *conn.Tunnel
	resp   *http.Response
	err    error
}

func startConnect(req *http.Request, connect func(*http.Request) (*conn.Tunnel, *http.Response, error)) *connecting {
	k := &connecting{done: make(chan struct{})}
	go func() {
		k.tunnel, k.resp, k.err = connect(req)
		close(k.done)
	}()
	return k
}

// opened waits for the tunnel.
func (k *connecting) opened(t *testing.T) *conn.Tunnel {
	t.Helper()
	<-k.done
	if k.err != nil {
		t.Fatalf("Connect: %v", k.err)
	}
	return k.tunnel
}

// wantErr waits for an error that is want, and shows that nothing is left open.
func (k *connecting) wantErr(t *testing.T, why string, want error) {
	t.Helper()
	<-k.done
	if k.tunnel != nil || k.resp != nil || !errors.Is(k.err, want) {
		t.Errorf("%s: %v, %v, error %v, want %v", why, k.tunnel, k.resp, k.err, want)
	}
}

func (k *connecting) wantWaiting(t *testing.T, why string) {
	t.Helper()
	synctest.Wait()
	select {
	case <-k.done:
		t.Fatalf("%s: Connect has returned %v", why, k.err)
	default:
	}
}

// What goes over the wire, and a response that has ended before it is read.
func TestConnectFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		k := startConnect(connectTo(t, "db.test:1").WithContext(ctx), f.tr.Connect)
		p := f.accept()
		h := p.request()
		want := []hpack.HeaderField{
			{Name: ":method", Value: "CONNECT"},
			{Name: ":authority", Value: "db.test:1"},
			{Name: "user-agent", Value: defaultUserAgent},
		}
		if d := cmp.Diff(want, h.Fields); d != "" || h.EndStream {
			t.Errorf("ends the stream: %v, fields (-want +got):\n%s", h.EndStream, d)
		}
		p.send(h2test.Response(1, 200, "content-length: 1000"), h2test.DataEnd(1, "all"))
		tunnel := k.opened(t)
		if b, err := io.ReadAll(tunnel); string(b) != "all" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		_ = tunnel.Close()
		if d := p.next().(frame.Data); !d.EndStream || len(d.Data) > 0 {
			t.Errorf("Close sent %v", d)
		}

		k = startConnect(connectTo(t, "db.test:1").WithContext(ctx), f.tr.Connect)
		p.request()
		p.send(h2test.Response(3, 204).End())
		tunnel = k.opened(t)
		if _, err := io.WriteString(tunnel, "one way"); err != nil {
			t.Error(err)
		}
		if d := p.next().(frame.Data); string(d.Data) != "one way" {
			t.Errorf("Write sent %v", d)
		}
		_ = tunnel.Close()
		synctest.Wait()
		if n := tunnel.Conn().Stats().Streams; n != 0 {
			t.Errorf("%d streams are open", n)
		}
		f.close()
	})
}

// Extended CONNECT waits for the server's SETTINGS (RFC 8441 §3), with RoundTrip too.
func TestExtendedConnectWaitsForSettings(t *testing.T) {
	for _, offers := range []bool{false, true} {
		t.Run(fmt.Sprint("offers it: ", offers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t, func(tr *Transport) { tr.MaxAttempts = 5 })
				k := startConnect(websocket(t), f.tr.Connect)
				rt := f.start(websocket(t))
				p := f.acceptSilent()
				k.wantWaiting(t, "no SETTINGS")
				rt.wantWaiting("no SETTINGS")
				if !offers {
					p.send(frame.NewSettings(), frame.Settings{Ack: true})
					k.wantErr(t, "not offered", ErrNoConnectProtocol)
					rt.wantErr(ErrNoConnectProtocol)
					if n := f.tr.Stats().Retries; n != 0 {
						t.Errorf("%d retries", n)
					}
					synctest.Wait()
					if longest := f.tr.once.ownPool.longestIdle(0); longest == nil {
						t.Error("a stream is taken still")
					}
				} else {
					enable := frame.Setting{ID: frame.SettingEnableConnectProtocol, Value: 1}
					p.send(frame.NewSettings(enable), frame.Settings{Ack: true})
					for range 2 {
						h := p.request()
						if h.Get(":protocol") != "websocket" || h.Get(":path") != "/chat" || h.Get(":scheme") != "http" {
							t.Errorf("the request is %v", h)
						}
						p.send(h2test.Response(h.StreamID, 200).End())
					}
					_ = k.opened(t).Close()
					_ = rt.response().Body.Close()
				}
				f.close()
			})
		})
	}
}

// What ends the wait for an answer leaves nothing behind.
func TestConnectFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		start := func(ctx context.Context) *connecting {
			return startConnect(connectTo(t, "db.test:1").WithContext(ctx), f.tr.Connect)
		}
		ctx, cancel := context.WithCancel(t.Context())
		k := start(ctx)
		p := f.accept()
		p.request()
		cancel()
		k.wantErr(t, "cancelled", context.Canceled)
		p.wantReset(1, frame.Cancel)
		if f, ok := p.next().(frame.Ping); ok { // the client asks whether the server is there
			f.Ack = true
			p.send(f)
		}

		k = start(t.Context())
		p.request()
		p.send(h2test.RST(3, frame.ConnectError))
		k.wantErr(t, "the proxy cannot connect", frame.ConnectError)

		k = start(t.Context())
		p.request()
		p.send(h2test.Response(5, 200))
		tunnel := k.opened(t)
		p.send(h2test.Response(5, 200, "late: head").End())
		if _, err := tunnel.Read(make([]byte, 1)); !errors.Is(err, frame.ProtocolError) {
			t.Errorf("HEADERS in a tunnel: %v", err)
		}
		_ = tunnel.Close()
		p.wantReset(5, frame.ProtocolError)

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		k = startConnect(websocket(t).WithContext(ctx), f.tr.Connect)
		k.wantErr(t, "not offered", ErrNoConnectProtocol)
		cancel()
		if _, _, err := f.tr.Connect(connectTo(t, "db.test:1").WithContext(ctx)); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that is done: %v", err)
		}
		synctest.Wait()
		if n := tunnel.Conn().Stats().Streams; n != 0 {
			t.Errorf("%d streams are open", n)
		}
		f.close()
	})
}
