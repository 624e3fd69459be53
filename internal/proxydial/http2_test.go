package proxydial

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// framePeer is a proxy of HTTP/2 that the test plays frame by frame.
type framePeer struct {
	t *testing.T
	l *memconn.Listener
}

// frameConn is a connection to it.
type frameConn struct {
	memconn.End
	t     *testing.T
	r     *bufio.Reader
	codec *h2test.Codec
}

func newFramePeer(t *testing.T) (*framePeer, *Dialer) {
	p := &framePeer{t, memconn.Listen(memconn.Options{})}
	return p, &Dialer{Proxy: &url.URL{Scheme: "h2c", Host: "proxy.test"}, Dial: p.l.Dial}
}

// accept waits for a connection and sends SETTINGS.
func (p *framePeer) accept(s ...frame.Setting) *frameConn {
	p.t.Helper()
	nc, err := p.l.Accept()
	if err != nil {
		p.t.Fatal(err)
	}
	c := &frameConn{nc.(memconn.End), p.t, bufio.NewReader(nc), h2test.NewCodec()}
	if _, err := io.ReadFull(c.r, make([]byte, len(frame.Preface))); err != nil {
		p.t.Fatal(err)
	}
	c.send(frame.NewSettings(s...), frame.Settings{Ack: true})
	return c
}

func (c *frameConn) send(items ...any) { _, _ = c.Write(c.codec.Append(nil, items...)) }

// request waits for the head of a request.
func (c *frameConn) request() h2test.Block {
	c.t.Helper()
	for {
		hb := make([]byte, frame.HeaderLen)
		if _, err := io.ReadFull(c.r, hb); err != nil {
			c.t.Errorf("want a request, got %v", err)
			return h2test.Block{}
		}
		payload := make([]byte, frame.ParseHeader(hb).Length)
		if _, err := io.ReadFull(c.r, payload); err != nil {
			c.t.Error(err)
			return h2test.Block{}
		}
		f, err := frame.Parse(frame.ParseHeader(hb), payload)
		if err != nil {
			c.t.Error(err)
		}
		if h, ok := f.(frame.Headers); ok {
			fields, err := c.codec.Fields(h.Fragment)
			if err != nil {
				c.t.Error(err)
			}
			return h2test.Block{StreamID: h.StreamID, EndStream: h.EndStream, Fields: fields}
		}
	}
}

// opened dials while the proxy plays.
func opened(t *testing.T, d *Dialer, play func()) error {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(play)
	nc, err := d.DialContext(t.Context(), "tcp", "target.test:443")
	wg.Wait()
	if err == nil {
		_ = nc.Close()
	}
	return err
}

// A proxy whose connections take no tunnel, as where it shuts down, is not dialled for ever.
func TestGoAwayAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := newFramePeer(t)
		conns := 0
		err := opened(t, d, func() {
			for conns < maxAttempts {
				c := p.accept()
				conns++
				c.send(h2test.GoAway(0, frame.NoError, "bye"))
				_, _ = io.Copy(io.Discard, c.r)
				_ = c.Close()
			}
			_ = p.l.Close()
		})
		var oe *net.OpError
		if !errors.As(err, &oe) || oe.Op != "proxyconnect" || errors.Is(err, net.ErrClosed) {
			t.Errorf("after %d connections: %v", conns, err)
		}
	})
}

// The request for a tunnel has the fields of RFC 9113 §8.5, credentials are in no table of HPACK,
// and what is only of HTTP/1.1 is left out.
func TestRequestHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := newFramePeer(t)
		d.Proxy.User = url.UserPassword("us", "er")
		d.Header = func(context.Context, string) (http.Header, error) {
			return http.Header{
				"Connection": {"x"}, "Proxy-Connection": {"keep-alive"}, "Host": {"evil.test"}, "Te": {"trailers"},
				"Content-Length": {"5"}, "Transfer-Encoding": {"chunked"}, "Upgrade": {"x"}, "X-A": {" b ", "c"},
			}, nil
		}
		var c *frameConn
		err := opened(t, d, func() {
			c = p.accept()
			b := c.request()
			got := ""
			for _, f := range b.Fields {
				got += f.Name + "=" + f.Value + " "
				if f.Sensitive != (f.Name == "proxy-authorization") {
					t.Errorf("%s: sensitive %t", f.Name, f.Sensitive)
				}
			}
			want := ":method=CONNECT :authority=target.test:443 user-agent=Go-http-client/2.0 proxy-authorization=" +
				userBasic + " x-a=b x-a=c "
			if got != want || b.EndStream {
				t.Errorf("the request is %s", got)
			}
			c.send(h2test.Response(b.StreamID, 200))
		})
		if err != nil {
			t.Error(err)
		}
		_ = c.Close()
	})
}

// A request that the proxy has not processed is sent again: on the same connection after
// REFUSED_STREAM, on another after GOAWAY, and where a connection that was there before is lost. It
// is not sent for ever, nor after other resets.
func TestRetryHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := newFramePeer(t)
		var conns []*frameConn
		accept := func() *frameConn {
			c := p.accept()
			conns = append(conns, c)
			return c
		}
		refuse := func(c *frameConn) { c.send(h2test.RST(c.request().StreamID, frame.RefusedStream)) }
		accepts := func(c *frameConn) { c.send(h2test.Response(c.request().StreamID, 200).End()) }
		var c *frameConn
		if err := opened(t, d, func() {
			c = accept()
			refuse(c)
			refuse(c)
			accepts(c)
		}); err != nil {
			t.Errorf("refused twice: %v", err)
		}
		err := opened(t, d, func() {
			for range maxAttempts {
				refuse(c)
			}
		})
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, frame.RefusedStream) {
			t.Errorf("refused for ever: %v", err)
		}
		err = opened(t, d, func() { c.send(h2test.RST(c.request().StreamID, frame.ConnectError)) })
		if !errors.As(err, &e) || !errors.Is(err, frame.ConnectError) {
			t.Errorf("CONNECT_ERROR: %v", err)
		}
		if err := opened(t, d, func() {
			c.send(h2test.GoAway(c.request().StreamID-2, frame.NoError, ""))
			c = accept()
			accepts(c)
		}); err != nil {
			t.Errorf("GOAWAY: %v", err)
		}
		if err := opened(t, d, func() {
			c.request()
			_ = c.Close()
			c = accept()
			accepts(c)
		}); err != nil {
			t.Errorf("lost: %v", err)
		}
		_ = c.Close()
		synctest.Wait()
		err = opened(t, d, func() {
			c = accept()
			c.request()
			_ = c.Close()
		})
		if !errors.As(err, &e) || errors.Is(err, io.EOF) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a new connection that is lost: %v", err)
		}
		for _, c := range conns {
			_ = c.Close()
		}
	})
}

// Answers that are no use: a head beyond the bound, one that is malformed, 101, and a proxy that
// allows no stream.
func TestBadAnswersHTTP2(t *testing.T) {
	for name, answer := range map[string]h2test.Block{
		"long":      h2test.Response(1, 200).With("a: " + strings.Repeat("x", 70_000)),
		"malformed": h2test.Response(1, 200).With("Upper: x"),
		"101":       h2test.Response(1, 101),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, d := newFramePeer(t)
				d.Config.MaxHeaderBytes = MaxHead
				var c *frameConn
				err := opened(t, d, func() {
					c = p.accept()
					c.request()
					c.send(answer.Cut(8))
				})
				var e *Error
				if !errors.As(err, &e) || e.Err == nil {
					t.Errorf("%v", err)
				}
				_ = c.Close()
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		p, d := newFramePeer(t)
		var c *frameConn
		err := opened(t, d, func() { c = p.accept(frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: 0}) })
		if !errors.Is(err, errNoStreams) {
			t.Errorf("no stream: %v", err)
		}
		_ = c.Close()
	})
}
