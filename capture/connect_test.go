package capture

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// connectionsLine shows connections and the headers of frames.
func connectionsLine(e Event) string {
	switch e := e.(type) {
	case *Connection:
		return connectionLine(e)
	case *Frame:
		return fmt.Sprintf("%d %v %v %d", e.Conn, e.Dir, e.Header.Type, e.Header.StreamID)
	case *Request:
		return fmt.Sprintf("%d request %s %s%s %d", e.Conn, e.Method, e.Authority, e.Path, e.Status)
	case *Gap:
		return fmt.Sprintf("%d gap %v %d", e.Conn, e.Dir, e.Octets)
	case *End:
		return fmt.Sprintf("%d %s", e.Conn, e.How)
	}
	return ""
}

// An HTTP/2 connection in CONNECT is a connection of its own.
func TestConnectHTTP1(t *testing.T) {
	f := newFeed(Options{})
	f.show = connectionsLine
	f.send(Client, "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n")
	f.send(Server, "HTTP/1.1 200 OK\r\n\r\n")
	f.send(Client, frame.Preface, h2test.Settings(), h2test.Get(1))
	f.send(Server, h2test.Settings(), h2test.Response(1, 204).End())
	f.end()
	f.want(t,
		"connection 1 http/1.1 by text",
		"1 request CONNECT a:80 200",
		"connection 2 h2 by preface in 1 stream 1",
		"2 client SETTINGS 0",
		"2 client HEADERS 1",
		"2 server SETTINGS 0",
		"2 server HEADERS 1",
		"2 request GET example.com/ 204",
		"2 closed",
		"1 closed",
	)
}

// The same in a stream, whose DATA is cut anywhere, with one tunnel in another.
func TestConnectHTTP2(t *testing.T) {
	for _, size := range []int{1, 7, 1000} {
		f := newFeed(Options{})
		f.show = func(e Event) string {
			if e, ok := e.(*Frame); ok && e.Conn == 1 {
				return ""
			}
			return connectionsLine(e)
		}
		inner := [2]*h2test.Codec{h2test.NewCodec(), h2test.NewCodec()}
		send := func(d Dir, items ...any) {
			for p := inner[d].Append(nil, items...); len(p) > 0; {
				n := min(size, len(p))
				f.send(d, h2test.Data(3, string(p[:n])))
				p = p[n:]
			}
		}
		f.send(Client, frame.Preface, h2test.Settings(), h2test.Headers(3, ":method: CONNECT", ":authority: a:80"))
		send(Client, frame.Preface) // waits for the answer
		f.send(Server, h2test.Settings(), h2test.Response(3, 100), h2test.Response(3, 200))
		send(Client, h2test.Settings(), h2test.Headers(5, ":method: CONNECT", ":authority: b:80"))
		send(Server, h2test.Response(5, 200))
		send(Client, h2test.Data(5, "GET /x HTTP/1.1\r\nHost: c\r\n\r\n"))
		send(Server, h2test.Data(5, "HTTP/1.1 304 Not Modified\r\n\r\n"), h2test.DataEnd(5, ""))
		f.send(Server, h2test.RST(3, frame.ConnectError))
		f.end()
		f.want(t,
			"connection 1 h2 by preface",
			"connection 2 h2 by preface in 1 stream 3",
			"2 client SETTINGS 0",
			"2 client HEADERS 5",
			"2 server HEADERS 5",
			"2 client DATA 5",
			"2 server DATA 5",
			"2 server DATA 5",
			"connection 3 http/1.1 by text in 2 stream 5", // until its end it may be a twin
			"3 request GET c/x 304",
			"3 reset",
			"2 request CONNECT b:80 200",
			"2 reset",
			"1 request CONNECT a:80 200",
			"1 closed",
		)
	}
}

// A request that is refused, extended CONNECT, and other methods open no tunnel.
func TestConnectRefused(t *testing.T) {
	f := newFeed(Options{})
	f.show = func(e Event) string {
		if c, ok := e.(*Connection); ok {
			return connectionLine(c)
		}
		return ""
	}
	f.send(Client, frame.Preface, h2test.Settings(), h2test.Headers(1, ":method: CONNECT", ":authority: a:80"),
		h2test.Headers(3, ":method: CONNECT", ":protocol: websocket", ":scheme: http", ":path: /", ":authority: a"),
		h2test.Post(5), h2test.Data(1, frame.Preface))
	f.send(Server, h2test.Settings(), h2test.Response(1, 502).End(), h2test.Response(3, 200), h2test.Response(5, 200))
	for id := uint32(1); id <= 5; id += 2 {
		f.send(Client, h2test.Data(id, frame.Preface+frames(h2test.Settings())))
	}
	f.end()
	f.want(t, "connection 1 h2 by preface")
}

// Octets of a tunnel that are lost are lost in the connection within, too.
func TestConnectLoss(t *testing.T) {
	f := newFeed(Options{})
	f.show = func(e Event) string {
		if e, ok := e.(*Gap); ok {
			return fmt.Sprintf("%d gap %v %d+%d", e.Conn, e.Dir, e.Octets, e.Skipped)
		}
		if e.ConnID() == 1 {
			return ""
		}
		return connectionsLine(e)
	}
	f.send(Client, frame.Preface, h2test.Settings(), h2test.Headers(1, ":method: CONNECT", ":authority: a:80"))
	f.send(Server, h2test.Settings(), h2test.Response(1, 200))
	f.send(Client, h2test.Data(1, frame.Preface+frames(h2test.Settings(), h2test.Get(1))))
	f.send(Server, h2test.Data(1, frames(h2test.Settings(), h2test.Response(1, 200))))
	inner := frames(h2test.DataOf(1, 1000), h2test.DataEnd(1, "end"))
	p := f.octets(Server, h2test.Data(1, inner))
	f.raw(Server, p[:100])
	f.lost(Server, 500)
	f.raw(Server, p[600:])
	f.end()
	f.want(t,
		"1 gap server 500+0",
		"connection 2 h2 by preface in 1 stream 1",
		"2 client SETTINGS 0",
		"2 client HEADERS 1",
		"2 server SETTINGS 0",
		"2 server HEADERS 1",
		"2 gap server 500+0",
		"2 server DATA 1",
		"2 server DATA 1",
		"2 request GET example.com/ 200",
		"2 closed",
	)
}

// Tunnels within tunnels end somewhere.
func TestConnectDepth(t *testing.T) {
	f := newFeed(Options{})
	deepest := uint64(0)
	f.show = func(e Event) string {
		if c, ok := e.(*Connection); ok {
			deepest = c.ID
		}
		return ""
	}
	for range 20 {
		f.send(Client, "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n")
		f.send(Server, "HTTP/1.1 200 OK\r\n\r\n")
	}
	f.end()
	if deepest != 1+maxDepth {
		t.Errorf("%d connections", deepest)
	}
	if f.a.nested != 0 || f.a.held.used.Load() != 0 {
		t.Errorf("at the end %d are open, and %d octets are held", f.a.nested, f.a.held.used.Load())
	}
}

// relay is a capture of an HTTP proxy: the tunnel of a client, and its connection to the target.
func relay(f *feed, first, second func(items [2]string)) {
	client := frame.Preface + frames(h2test.Settings(), h2test.Get(1, "user-agent: "+strings.Repeat("x", 50)))
	server := frames(h2test.Settings(), h2test.Response(1, 200, "server: "+strings.Repeat("y", 80)).End())
	first([2]string{client, server})
	second([2]string{client, server})
}

// The two legs of a tunnel are named.
func TestTwins(t *testing.T) {
	f := newFeed(Options{})
	f.show = func(e Event) string {
		if c, ok := e.(*Connection); ok {
			return connectionLine(c)
		}
		return ""
	}
	tunnel := f.s
	f.send(Client, "CONNECT 192.0.2.9:80 HTTP/1.1\r\nHost: a\r\n\r\n")
	f.send(Server, "HTTP/1.1 200 OK\r\n\r\n")
	target := f.a.open(f.s.info.Server, f.s.info.Client, f.now())
	other := f.a.open(f.s.info.Server, f.s.info.Client, f.now())
	target.info.Server, other.info.Server = f.s.info.Server, f.s.info.Server // port 80
	to := func(s *session) func([2]string) {
		return func(items [2]string) {
			for d, p := range items {
				s.Octets(wire.Dir(d), f.now(), []byte(p))
			}
		}
	}
	relay(f, to(tunnel), to(target))
	to(other)([2]string{frame.Preface + frames(h2test.Settings()), frames(h2test.Settings())})
	for _, s := range []*session{other, target, tunnel} {
		s.End(wire.Client, f.now(), wire.Closed)
		s.End(wire.Server, f.now(), wire.Closed)
	}
	f.want(t,
		"connection 1 http/1.1 by text",
		"connection 2 h2 by preface in 1 stream 1",
		"connection 3 h2 by preface twin 2",
		"connection 4 h2 by preface",
	)
}
