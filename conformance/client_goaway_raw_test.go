package conformance

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// A goAwayMoment is when, and how, a server that speaks in frames says GOAWAY. What it does is said
// for the request that fills the quota of its connection, here called the last one.
type goAwayMoment struct {
	name string

	first bool // GOAWAY before any request has arrived: none is acted on
	warn  bool // a GOAWAY with the greatest stream identifier, and a PING, come before the one that counts

	// asked is called when the head of the last request has arrived; unless it calls goAway the
	// request is answered as if it were not the last.
	asked func(c *goAwayConn, id uint32)
	// answer, if set, answers the last request. Since its body may have come late, later ones may
	// have been acted on.
	answer func(c *goAwayConn, id uint32, body string)

	reset bool // streams beyond the last are also reset with REFUSED_STREAM
}

var goAwayMoments = []goAwayMoment{
	{name: "before any request", first: true},
	{name: "on the head of a request", asked: func(c *goAwayConn, id uint32) { c.goAway(id, frame.NoError) }},
	{name: "refusing a request that has begun", asked: func(c *goAwayConn, id uint32) { c.goAway(id-2, frame.NoError) }},
	{name: "with an even identifier", asked: func(c *goAwayConn, id uint32) { c.goAway(id-1, frame.NoError) }},
	{name: "with an error", asked: func(c *goAwayConn, id uint32) { c.goAway(id, frame.EnhanceYourCalm) }},
	{name: "and resets", reset: true, asked: func(c *goAwayConn, id uint32) { c.goAway(id, frame.NoError) }},
	{name: "after a warning", warn: true, asked: func(c *goAwayConn, _ uint32) { c.warn() }},
	{name: "before the response", answer: func(c *goAwayConn, id uint32, body string) {
		c.goAway(c.seen, frame.NoError)
		c.respond(id, body)
	}},
	{name: "after the head of the response", answer: func(c *goAwayConn, id uint32, body string) {
		c.p.headers(id, false, h2test.Field(":status", "200"))
		c.goAway(c.seen, frame.NoError)
		c.p.add(frame.Data{StreamID: id, EndStream: true, Data: []byte(body)})
	}},
	{name: "inside the response", answer: func(c *goAwayConn, id uint32, body string) {
		c.p.headers(id, false, h2test.Field(":status", "200"), h2test.Field("content-length", strconv.Itoa(len(body))))
		c.p.add(frame.Data{StreamID: id, Data: []byte(body[:1])})
		c.goAway(c.seen, frame.NoError)
		c.p.add(frame.Data{StreamID: id, EndStream: true, Data: []byte(body[1:])})
	}},
	{name: "before the trailers", answer: func(c *goAwayConn, id uint32, body string) {
		c.p.headers(id, false, h2test.Field(":status", "200"))
		c.p.add(frame.Data{StreamID: id, Data: []byte(body)})
		c.goAway(c.seen, frame.NoError)
		c.p.headers(id, true, h2test.Field("late", "yes"))
	}},
	{name: "after the response", answer: func(c *goAwayConn, id uint32, body string) {
		c.respond(id, body)
		c.goAway(c.seen, frame.NoError)
	}},
	{name: "twice, with fewer streams", answer: func(c *goAwayConn, id uint32, body string) {
		c.goAway(c.seen+2, frame.NoError)
		c.goAway(c.seen, frame.NoError)
		c.respond(id, body)
	}},
}

// goAwayServer speaks in frames. Each connection says GOAWAY at the next one of its moments.
type goAwayServer struct {
	t       *testing.T
	moments []goAwayMoment
	acted   *ledger
	said    atomic.Int64 // connections with GOAWAY
}

// A goAwayConn is one connection of a goAwayServer. All is done by the goroutine that reads it.
type goAwayConn struct {
	s     *goAwayServer
	p     *rawPeer
	m     goAwayMoment
	open  map[uint32]*goAwayStream // requests that are to be answered
	count int                      // requests so far
	seen  uint32                   // highest stream identifier
	going bool                     // GOAWAY was sent
	last  uint32                   // its last stream identifier
	ended bool                     // nothing is sent any more
}

type goAwayStream struct {
	path, body string
	isLast     bool // of the quota
}

func (s *goAwayServer) serve(nc net.Conn, m goAwayMoment) error {
	defer nc.Close()
	c := &goAwayConn{s: s, p: newRawPeer(s.t, nc), m: m, open: make(map[uint32]*goAwayStream)}
	if _, err := io.CopyN(io.Discard, nc, int64(len(frame.Preface))); err != nil {
		return err
	}
	c.p.out = frame.AppendSettings(c.p.out)
	if m.first {
		c.goAway(0, frame.NoError)
	}
	for {
		if err := c.flush(); err != nil {
			return err
		}
		f, err := c.p.next()
		if err != nil {
			return err
		}
		if err := c.take(f); err != nil {
			return err
		}
	}
}

// flush writes what was collected, and ends the direction to the client when all that was promised
// is done. The other direction is read to its end, so that nothing is lost to a reset of the
// connection.
func (c *goAwayConn) flush() error {
	if c.ended {
		return nil
	}
	if err := c.p.flush(); err != nil {
		return err
	}
	if c.going && c.last < frame.MaxStreamID && len(c.open) == 0 {
		c.ended = true
		return c.p.nc.(*net.TCPConn).CloseWrite()
	}
	return nil
}

func (c *goAwayConn) take(f frame.Frame) error {
	switch f := f.(type) {
	case frame.Settings:
		if !f.Ack {
			c.p.out = frame.AppendSettingsAck(c.p.out)
		}
	case frame.Ping:
		switch {
		case !f.Ack:
			c.p.add(frame.Ping{Ack: true, Data: f.Data})
		case c.m.warn: // whatever the client sent before it knew has arrived
			c.goAway(c.seen, frame.NoError)
		}
	case frame.Headers:
		return c.request(f)
	case frame.Data:
		if s := c.open[f.StreamID]; s != nil {
			s.body += string(f.Data)
			if f.EndStream {
				c.answer(f.StreamID)
			}
		}
	}
	return nil
}

// request takes the head of a request. Its block is decoded even when the stream is refused.
func (c *goAwayConn) request(f frame.Headers) error {
	fields, err := c.p.codec.Fields(f.Fragment)
	if err != nil {
		return fmt.Errorf("the header block of %v: %w", f, err)
	}
	if f.StreamID <= c.seen || !f.EndHeaders {
		return fmt.Errorf("%v after stream %d", f, c.seen)
	}
	c.seen = f.StreamID
	s := &goAwayStream{}
	for _, field := range fields {
		if field.Name == ":path" {
			s.path = field.Value
		}
	}
	if c.count++; c.count == goAwayQuota && !c.going {
		s.isLast = true
		if c.m.asked != nil {
			c.m.asked(c, f.StreamID)
		}
	}
	if c.going && f.StreamID > c.last {
		if c.m.reset {
			c.p.add(frame.RSTStream{StreamID: f.StreamID, Code: frame.RefusedStream})
		}
		return nil
	}
	c.s.acted.act(s.path)
	c.open[f.StreamID] = s
	if f.EndStream {
		c.answer(f.StreamID)
	}
	return nil
}

func (c *goAwayConn) answer(id uint32) {
	s := c.open[id]
	delete(c.open, id)
	if body := s.path + s.body; s.isLast && c.m.answer != nil {
		c.m.answer(c, id, body)
	} else {
		c.respond(id, body)
	}
}

func (c *goAwayConn) respond(id uint32, body string) {
	c.p.headers(id, false, h2test.Field(":status", "200")).
		add(frame.Data{StreamID: id, EndStream: true, Data: []byte(body)})
}

// warn says that there will be a GOAWAY (RFC 9113 §6.8).
func (c *goAwayConn) warn() {
	c.goAway(frame.MaxStreamID, frame.NoError)
	c.p.add(frame.Ping{})
}

func (c *goAwayConn) goAway(last uint32, code frame.Code) {
	if !c.going {
		c.s.said.Add(1)
	}
	c.going, c.last = true, last
	c.p.add(frame.GoAway{LastStreamID: last, Code: code})
}

// start accepts connections until the test ends.
func (s *goAwayServer) start(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		for i := 0; ; i++ {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(nc, s.moments[i%len(s.moments)]) // ends with the client's connection, an error shows in the requests
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-accepting
	})
	return l.Addr().String()
}

// A server says GOAWAY at each moment of a connection's life: what it has acted on is answered, and
// all else is sent again elsewhere, bodies included.
func TestClientThroughGoAwaysAtEveryMoment(t *testing.T) {
	run := func(t *testing.T, requests, want int, moments ...goAwayMoment) {
		s := &goAwayServer{t: t, moments: moments, acted: newLedger()}
		// On a busy machine a fourth of all attempts may be in vain, so that of this many requests one
		// now and then needs more than DefaultMaxAttempts.
		manyAttempts := func(tr *client.Transport) { tr.MaxAttempts = 3 * client.DefaultMaxAttempts }
		sendThrough(t, newTransport(t, manyAttempts), "http://"+s.start(t), requests)
		s.acted.check(t, requests)
		if n := s.said.Load(); n < int64(want) {
			t.Errorf("%d connections ended with GOAWAY, want at least %d", n, want)
		}
	}
	for _, m := range goAwayMoments {
		t.Run(m.name, func(t *testing.T) {
			if m.first { // a server that never does anything else is not to be reached
				usual := goAwayMoments[len(goAwayMoments)-1]
				run(t, goAwayRequests/10, goAways/10, m, usual, usual, usual)
				return
			}
			run(t, goAwayRequests/10, goAways/10, m)
		})
	}
	t.Run("all of them", func(t *testing.T) {
		run(t, goAwayRequests, goAways, goAwayMoments...)
	})
}
