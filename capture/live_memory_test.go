package capture

import (
	"runtime"
	"testing"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
)

// heap returns the octets that are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// traceExchange traces a request and its response.
func traceExchange(l *Live, c *conn.Conn, stream uint32) {
	const end = frame.FlagEndStream | frame.FlagEndHeaders
	for d, block := range map[conn.Direction]string{
		conn.In:  "\x82\x84\x86\x41\x05abcde\x40\x02xy\x03123", // GET / of abcde, with a field that is indexed
		conn.Out: "\x88\x40\x02xy\x03123",
	} {
		l.TraceFrame(c, conn.FrameTrace{
			Direction: d, Payload: []byte(block),
			Header: frame.Header{Type: frame.TypeHeaders, Flags: end, StreamID: stream, Length: uint32(len(block))},
		})
	}
}

// What a Live keeps is bounded for a connection, however much that carries, and is let go with it.
func TestLiveMemory(t *testing.T) {
	const (
		conns   = 200
		perConn = 48 << 10 // three times what it is
		most    = 8 << 20  // of a connection that has carried much: closed streams are remembered for some time
	)
	l := &Live{Handler: func(Event) {}}
	var cs []*conn.Conn
	for range conns {
		cs = append(cs, newTraced(t))
	}
	before := heap()
	for _, c := range cs {
		for _, d := range []conn.Direction{conn.In, conn.Out} {
			s := settings
			s.Direction = d
			l.TraceFrame(c, s)
		}
		for stream := uint32(1); stream < 10; stream += 2 {
			traceExchange(l, c, stream)
		}
	}
	full := heap()
	if n := (full - before) / conns; n > perConn {
		t.Errorf("%d octets are kept for each connection, at most %d are expected", n, perConn)
	}
	for stream := uint32(11); stream < 40_000; stream += 2 {
		traceExchange(l, cs[0], stream)
	}
	if n := heap() - full; n > most {
		t.Errorf("20,000 requests of a connection have left %d octets", n)
	}
	for _, c := range cs {
		l.TraceEnd(c, nil)
	}
	if n := heap() - before; n > 1<<20 {
		t.Errorf("%d octets are kept when all connections have ended", n)
	}
	runtime.KeepAlive(cs)
	runtime.KeepAlive(l)
}
