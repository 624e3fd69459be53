package conn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// A testPeer is the other side of a Conn: the test plays the peer, and each of its calls is one
// step. It works in a synctest bubble: after every step the connection has done all that it can do
// without more from the peer.
type testPeer struct {
	t    *testing.T
	c    *Conn // that of client or server
	h    *testHandler
	nc   memconn.End   // the peer's end
	end  memconn.End   // the connection's end
	far  *memconn.Conn // that, or what lies below its TLS
	made int           // writes of the connection's end for the handshake of TLS
	role core.Role     // of the connection

	client *Client // nil where the connection is a server's
	server *Server // nil where it is a client's

	codec *h2test.Codec
	in    []byte // read, not looked at

	mu       sync.Mutex
	serveErr error
	served   bool
}

// testHandler notes what a Conn tells its user.
type testHandler struct {
	mu      sync.Mutex
	streams map[uint32]*Stream // handed over
	batches []int              // sizes
	blocked []uint32           // streams of StreamBlocked
	states  []string           // of ConnState

	onStreams func([]*Stream) // if set, called by HandleStreams
	onState   func(idle bool) // if set, called by ConnState
}

func (h *testHandler) HandleStreams(batch []*Stream) {
	h.mu.Lock()
	h.batches = append(h.batches, len(batch))
	for _, st := range batch {
		h.streams[st.ID()] = st
	}
	f := h.onStreams
	h.mu.Unlock()
	if f != nil {
		f(batch)
	}
}

func (h *testHandler) StreamBlocked(st *Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.blocked = append(h.blocked, st.ID())
}

func (h *testHandler) ConnState(idle bool) {
	h.mu.Lock()
	state := "active"
	if idle {
		state = "idle"
	}
	h.states = append(h.states, state)
	f := h.onState
	h.mu.Unlock()
	if f != nil {
		f(idle)
	}
}

// takeBlocked returns the streams that StreamBlocked was called for since the last time.
func (p *testPeer) takeBlocked() []uint32 {
	synctest.Wait()
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	b := p.h.blocked
	p.h.blocked = nil
	return b
}

func (p *testPeer) wantStates(msg, want string) {
	p.t.Helper()
	synctest.Wait()
	p.h.mu.Lock()
	got := strings.Join(p.h.states, " ")
	p.h.mu.Unlock()
	if got != want {
		p.t.Errorf("%s: ConnState was told %q, want %q", msg, got, want)
	}
}

// newTestPeer returns the client of a server's Conn: prefaces are exchanged and acknowledged.
func newTestPeer(t *testing.T, cfg Config, s ...frame.Setting) *testPeer {
	p := startTestPeer(t, core.Server, cfg, memconn.Options{})
	p.greet(s...)
	return p
}

// newTestServer returns the server of a client's Conn.
func newTestServer(t *testing.T, cfg Config, s ...frame.Setting) *testPeer {
	p := startTestPeer(t, core.Client, cfg, memconn.Options{})
	p.greet(s...)
	return p
}

// startTestPeer starts a connection without a word to it.
func startTestPeer(t *testing.T, role core.Role, cfg Config, o memconn.Options) *testPeer {
	p := makeTestPeer(t, role, cfg, o)
	p.serve()
	return p
}

// makeTestPeer makes a connection that Serve does not run yet.
func makeTestPeer(t *testing.T, role core.Role, cfg Config, o memconn.Options) *testPeer {
	p := &testPeer{t: t, h: &testHandler{streams: map[uint32]*Stream{}}, role: role, codec: h2test.NewCodec()}
	needsNoSockets(t)
	if role == core.Server {
		o.Server = testKind
		p.nc, p.end = memconn.Connect(o)
	} else {
		o.Client = testKind
		p.end, p.nc = memconn.Connect(o)
	}
	p.far = memconn.Below(p.end)
	_, p.made = p.far.Calls()
	if role == core.Server {
		p.server = NewServer(p.end, cfg, p.h)
		p.c = &p.server.Conn
	} else {
		p.client = NewClient(p.end, cfg, p.h)
		p.c = &p.client.Conn
	}
	t.Cleanup(p.finish)
	return p
}

func (p *testPeer) serve() {
	go func() { // ends with the connection, which finish closes
		err := p.c.Serve()
		p.mu.Lock()
		p.serveErr, p.served = err, true
		p.mu.Unlock()
	}()
}

// finish ends the test: whatever state the connection is in, it must end when its socket does.
func (p *testPeer) finish() {
	_ = p.nc.Close()
	_ = p.c.Close()
}

// greet exchanges prefaces.
func (p *testPeer) greet(s ...frame.Setting) {
	p.t.Helper()
	if p.role == core.Server {
		p.send(h2test.Raw(frame.Preface), h2test.Settings(s...), h2test.Ack)
	} else {
		p.readPreface()
		p.send(h2test.Settings(s...), h2test.Ack)
	}
	acked := false
	for f := range p.frames() {
		if f, ok := f.(frame.Settings); ok && f.Ack {
			acked = true
		}
	}
	if !acked {
		p.t.Fatal("our SETTINGS were not acknowledged")
	}
}

// readPreface takes what a client begins with.
func (p *testPeer) readPreface() {
	p.t.Helper()
	p.read()
	if !bytes.HasPrefix(p.in, []byte(frame.Preface)) {
		p.t.Fatalf("the client began with %q", p.in)
	}
	p.in = p.in[len(frame.Preface):]
}

// send sends frames in one write.
func (p *testPeer) send(frames ...any) {
	p.t.Helper()
	synctest.Wait()
	b := p.codec.Append(nil, frames...)
	if _, err := p.nc.Write(b); err != nil {
		p.t.Errorf("sending %s: %v", text.Line(frames[0]), err)
	}
	synctest.Wait()
}

// read takes all that the connection has written.
func (p *testPeer) read() {
	synctest.Wait()
	for p.far.Buffered() > 0 {
		b := make([]byte, 64<<10)
		n, err := p.nc.Read(b)
		p.in = append(p.in, b[:n]...)
		if err != nil {
			if testKind != memconn.TLS { // where it may be close_notify
				p.t.Fatal(err)
			}
			break
		}
		synctest.Wait()
	}
	if testKind == memconn.TLS {
		p.readDecrypted()
	}
}

// readDecrypted takes what the peer's TLS has read and not yet returned.
func (p *testPeer) readDecrypted() {
	_ = p.nc.SetReadDeadline(time.Unix(1, 0))
	for {
		b := make([]byte, 64<<10)
		n, err := p.nc.Read(b)
		p.in = append(p.in, b[:n]...)
		if err != nil {
			break
		}
	}
	_ = p.nc.SetReadDeadline(time.Time{})
}

// frames yields all that the connection has sent so far.
func (p *testPeer) frames() func(func(any) bool) {
	return func(yield func(any) bool) {
		p.read()
		for {
			f, ok := p.next()
			if !ok || !yield(f) {
				return
			}
		}
	}
}

// want says what the connection has sent since the last step: exactly these frames.
func (p *testPeer) want(msg string, frames ...any) {
	p.t.Helper()
	var got, want []string
	for f := range p.frames() {
		got = append(got, text.Line(f))
	}
	for _, f := range frames {
		want = append(want, text.Line(f))
	}
	if d := cmp.Diff(want, got); d != "" {
		p.t.Fatalf("%s: frames differ (-want +got):\n%s", msg, d)
	}
}

// wantIdle says that the connection has sent nothing and is open.
func (p *testPeer) wantIdle(msg string) {
	p.t.Helper()
	p.want(msg)
	if err := p.readEnd(); err != nil {
		p.t.Fatalf("%s: the connection is closed: %v", msg, err)
	}
}

// wantEOF says that the connection has sent nothing more and has closed its side.
func (p *testPeer) wantEOF(msg string) {
	p.t.Helper()
	p.want(msg)
	err := p.readEnd()
	if err == nil && (testKind == memconn.NoCloseWrite || testKind == memconn.TLS) {
		// It closes when it has read what the peer still sends, or would have; over TLS its
		// direction is open until the peer has answered lingerPing, which says that all has
		// arrived.
		time.Sleep(max(p.c.opts.lingerTimeout, lingerTime))
		synctest.Wait()
		err = p.readEnd()
	}
	if !errors.Is(err, io.EOF) {
		p.t.Fatalf("%s: want EOF, reading gives %v", msg, err)
	}
}

// readEnd returns the error that reading gives, nil if that would wait.
func (p *testPeer) readEnd() error {
	_ = p.nc.SetReadDeadline(time.Now().Add(1))
	_, err := p.nc.Read(make([]byte, 1))
	_ = p.nc.SetReadDeadline(time.Time{})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// wantServed says that Serve has returned, and returns its error.
func (p *testPeer) wantServed(msg string) error {
	p.t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.served {
		p.t.Fatalf("%s: Serve has not returned", msg)
	}
	select {
	case <-p.c.Done():
	default:
		p.t.Errorf("%s: Done is not closed", msg)
	}
	return p.serveErr
}

// wantServing says that Serve has not returned.
func (p *testPeer) wantServing(msg string) {
	p.t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.served {
		p.t.Fatalf("%s: Serve has returned: %v", msg, p.serveErr)
	}
}

// stream returns a stream that was handed to the handler.
func (p *testPeer) stream(id uint32) *Stream {
	p.t.Helper()
	synctest.Wait()
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	st := p.h.streams[id]
	if st == nil {
		p.t.Fatalf("stream %d was not handed over", id)
	}
	return st
}

// open sends the head of a request and returns the stream.
func (p *testPeer) open(h h2test.Block) *Stream {
	p.t.Helper()
	p.send(h)
	return p.stream(h.StreamID)
}

// A call is a function that runs in a goroutine of its own, because it waits.
type call struct {
	t    *testing.T
	mu   sync.Mutex
	done bool
	n    int
	err  error
}

// start runs f. A call that never ends fails the test: it is a goroutine that leaks.
func (p *testPeer) start(f func() (int, error)) *call {
	k := &call{t: p.t}
	go func() {
		n, err := f()
		k.mu.Lock()
		k.done, k.n, k.err = true, n, err
		k.mu.Unlock()
	}()
	synctest.Wait()
	return k
}

func (k *call) wantWaiting(msg string) {
	k.t.Helper()
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.done {
		k.t.Fatalf("%s: the call has returned %d, %v", msg, k.n, k.err)
	}
}

// want says that the call has returned n and an error that is err, or nil.
func (k *call) want(msg string, n int, err error) {
	k.t.Helper()
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case !k.done:
		k.t.Fatalf("%s: the call still waits", msg)
	case k.n != n || !errors.Is(k.err, err) && !sameError(k.err, err):
		k.t.Fatalf("%s: the call has returned %d, %v; want %d, %v", msg, k.n, k.err, n, err)
	}
}

func sameError(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func check(t *testing.T, msg string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", msg, err)
	}
}

// openStream opens a stream with a request, whose content follows unless end is set.
func openStream(c *Client, fields []header.Field, end bool) (*Stream, error) {
	return c.OpenRequest(&Request{Fields: fields, Head: isHead(fields), End: end})
}

func isHead(fields []header.Field) bool {
	return slices.Contains(fields, header.Field{Name: ":method", Value: "HEAD"})
}

// headOf waits for the head of the response.
func headOf(st *Stream) (*header.Message, error) {
	h, err := st.AwaitHead()
	return h.Message, err
}
