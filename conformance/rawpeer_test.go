package conformance

import (
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// rawTimeout bounds each wait for the server. Nothing that is waited for takes longer than a
// moment, or some seconds on a machine that is busy: it is only reached when the server is at
// fault.
const rawTimeout = time.Minute

// A rawPeer plays an HTTP/2 client frame by frame. Frames are collected with add and the like and
// written by flush, so that many can go out in one write. The side that reads may be used by
// another goroutine than the side that writes.
type rawPeer struct {
	t        *testing.T
	nc       net.Conn
	patience time.Duration // how long to wait for the server

	codec *h2test.Codec
	out   []byte // frames for the next flush
	auth  string // :authority of the requests

	in   []byte // received; parsed up to used
	used int
}

func newRawPeer(t *testing.T, nc net.Conn) *rawPeer {
	p := &rawPeer{t: t, nc: nc, patience: rawTimeout, auth: "example.test", codec: h2test.NewCodec()}
	t.Cleanup(func() { nc.Close() })
	return p
}

// dialRaw connects to a server in cleartext. Nothing is sent yet.
func dialRaw(t *testing.T, ls *liveServer) *rawPeer {
	t.Helper()
	nc, err := net.DialTimeout("tcp", ls.Addr, rawTimeout)
	if err != nil {
		t.Fatal(err)
	}
	return newRawPeer(t, nc)
}

// greet adds the connection preface with these settings and the acknowledgement of the server's.
func (p *rawPeer) greet(settings ...frame.Setting) *rawPeer {
	return p.add(frame.Preface, h2test.Settings(settings...), h2test.Ack)
}

// add collects frames, and blocks and octets as package h2test has them.
func (p *rawPeer) add(items ...any) *rawPeer {
	p.out = p.codec.Append(p.out, items...)
	return p
}

// request returns the pseudo-header fields of a request and, behind them, more.
func (p *rawPeer) request(method, path string, more ...hpack.HeaderField) []hpack.HeaderField {
	return append(h2test.Fields(":method: "+method, ":scheme: http", ":authority: "+p.auth, ":path: "+path), more...)
}

// headers collects a HEADERS frame with a whole block.
func (p *rawPeer) headers(id uint32, end bool, fields ...hpack.HeaderField) *rawPeer {
	return p.add(h2test.Block{StreamID: id, EndStream: end, Fields: fields})
}

// get collects a request without a body.
func (p *rawPeer) get(id uint32, path string) *rawPeer {
	return p.headers(id, true, p.request("GET", path)...)
}

// flush writes what was collected. A server that has had enough may have closed the connection:
// then the error is of no interest, what the server said before is.
func (p *rawPeer) flush() error {
	out := p.out
	p.out = p.out[:0]
	p.nc.SetWriteDeadline(time.Now().Add(p.patience))
	_, err := p.nc.Write(out)
	return err
}

// mustFlush is flush where the server has no reason to have closed the connection.
func (p *rawPeer) mustFlush() {
	p.t.Helper()
	if err := p.flush(); err != nil {
		p.t.Fatalf("writing to the server: %v", err)
	}
}

// next returns the next frame from the server, or how the connection ended: io.EOF after an orderly
// close, an error for which reset is true after another, os.ErrDeadlineExceeded when nothing comes.
// Views in the frame are valid until the next call.
func (p *rawPeer) next() (frame.Frame, error) {
	p.nc.SetReadDeadline(time.Now().Add(p.patience))
	for {
		h, payload, n, err := frame.Split(p.in[p.used:], frame.MinMaxFrameSize)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			p.used += n
			return frame.Parse(h, payload)
		}
		p.in = append(p.in[:0], p.in[p.used:]...)
		p.used = 0
		p.in = slices.Grow(p.in, 32<<10)
		got, err := p.nc.Read(p.in[len(p.in):cap(p.in)])
		p.in = p.in[:len(p.in)+got]
		if err != nil && got == 0 {
			return nil, err
		}
	}
}

// until reads up to a frame for which done says true, and fails the test when the connection ends
// before.
func (p *rawPeer) until(what string, done func(frame.Frame) bool) {
	p.t.Helper()
	for {
		f, err := p.next()
		if err != nil {
			p.t.Fatalf("waiting for %s: %v", what, err)
		}
		if done(f) {
			return
		}
		if g, ok := f.(frame.GoAway); ok {
			p.t.Fatalf("waiting for %s: the server sent %v", what, g)
		}
	}
}

// sync waits until the server has handled everything that was sent so far: PING is answered in
// order.
func (p *rawPeer) sync() {
	p.t.Helper()
	data := [8]byte{'s', 'y', 'n', 'c'}
	p.add(frame.Ping{Data: data}).mustFlush()
	p.until("the answer to PING", func(f frame.Frame) bool {
		ping, ok := f.(frame.Ping)
		return ok && ping.Ack && ping.Data == data
	})
}

// status decodes the status of a response. Blocks have to be given in the order in which they came.
func (p *rawPeer) status(h frame.Headers) string {
	p.t.Helper()
	fields, err := p.codec.Fields(h.Fragment)
	if err != nil {
		p.t.Fatalf("the header block of %v: %v", h, err)
	}
	if len(fields) == 0 || fields[0].Name != ":status" {
		p.t.Fatalf("the header block of %v begins with %v, want :status", h, fields)
	}
	return fields[0].Value
}

// An ending is how the server brought a connection to its end.
type ending struct {
	goAway *frame.GoAway      // the last one; nil if there was none
	debug  string             // its debug data
	resets map[frame.Code]int // RST_STREAM frames by code
	frames int                // all frames before the end
	err    error              // io.EOF, or that of a reset; os.ErrDeadlineExceeded: no end came
}

// closed reports whether the connection has ended at all.
func (e ending) closed() bool {
	return errors.Is(e.err, io.EOF) || errors.Is(e.err, net.ErrClosed) ||
		errors.Is(e.err, syscall.ECONNRESET) || errors.Is(e.err, syscall.EPIPE)
}

// note takes account of one more frame.
func (e *ending) note(f frame.Frame) {
	e.frames++
	switch f := f.(type) {
	case frame.GoAway:
		e.debug = string(f.DebugData)
		f.DebugData = nil // a view
		e.goAway = &f
	case frame.RSTStream:
		e.resets[f.Code]++
	}
}

// readToEnd reads until the connection ends.
func (p *rawPeer) readToEnd() ending {
	e := ending{resets: map[frame.Code]int{}}
	for {
		f, err := p.next()
		if err != nil {
			e.err = err
			return e
		}
		e.note(f)
	}
}

// wantEnd reads until the connection ends and requires that a GOAWAY with one of the codes came
// before.
func (p *rawPeer) wantEnd(codes ...frame.Code) ending {
	p.t.Helper()
	e := p.readToEnd()
	switch {
	case !e.closed():
		p.t.Errorf("the connection goes on (%v) after %d frames, want GOAWAY %v and the end", e.err, e.frames, codes)
	case e.goAway == nil:
		p.t.Errorf("the connection ended (%v) without GOAWAY, want GOAWAY %v", e.err, codes)
	case !slices.Contains(codes, e.goAway.Code):
		p.t.Errorf("the server sent %v (%q), want one of %v", *e.goAway, e.debug, codes)
	case e.goAway.Code != frame.NoError && e.debug == "":
		p.t.Errorf("%v does not say what was wrong", *e.goAway)
	}
	return e
}

// flood writes n rounds, each collected by round, in writes of some size, and stops early when the
// server has closed. It returns at once; wait on the channel, which gets the number of rounds
// written, before the writing side is used again.
func (p *rawPeer) flood(n int, round func(i int)) <-chan int {
	done := make(chan int, 1)
	go func() {
		for i := range n {
			round(i)
			if len(p.out) >= 16<<10 || i == n-1 {
				if p.flush() != nil {
					done <- i
					return
				}
			}
		}
		done <- n
	}()
	return done
}

// readUntilQuiet reads while a flood is written, and then until the server has handled all of it or
// has closed the connection: PING is answered behind everything else.
func (p *rawPeer) readUntilQuiet(flood <-chan int) ending {
	p.t.Helper()
	last := [8]byte{'q', 'u', 'i', 'e', 't'}
	var writer sync.WaitGroup
	writer.Go(func() {
		<-flood
		p.add(frame.Ping{Data: last}).flush() // an error means that the server has closed, which the reader sees
	})
	defer writer.Wait()
	e := ending{resets: map[frame.Code]int{}}
	for {
		f, err := p.next()
		if err != nil {
			e.err = err
			if !e.closed() {
				p.t.Errorf("the server neither handled the flood nor closed: %v", err)
			}
			return e
		}
		if ping, ok := f.(frame.Ping); ok && ping.Ack && ping.Data == last {
			return e
		}
		e.note(f)
	}
}
