package server

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// peer is a client that is written frame by frame. It lives in a bubble: what came is looked at
// when everything else has come to rest.
type peer struct {
	t      *testing.T
	nc     halfCloser
	codec  *h2test.Codec
	served chan struct{} // closed when ServeConn has returned
	logs   *syncBuffer   // the server's ErrorLog

	mu   sync.Mutex
	seen []string // frames, rendered
	deaf bool     // does not answer PING
}

// newPeer connects to srv and sends the preface with the given settings.
func newPeer(t *testing.T, srv *Server, settings ...frame.Setting) *peer {
	t.Helper()
	p := dialPeer(t, srv)
	p.send(frame.Preface, h2test.Settings(settings...))
	p.send(h2test.Ack)
	return p
}

// dialPeer connects to srv and sends nothing.
func dialPeer(t *testing.T, srv *Server) *peer {
	t.Helper()
	client, server := memconn.Connect(anyLink(t))
	p := peerOn(t, client)
	if srv.ErrorLog == nil {
		srv.ErrorLog = log.New(p.logs, "", 0)
	}
	go func() {
		defer close(p.served)
		srv.ServeConn(server)
	}()
	return p
}

// peerOn makes a peer of a connection.
func peerOn(t *testing.T, nc halfCloser) *peer {
	p := &peer{t: t, nc: nc, codec: h2test.NewCodec(), served: make(chan struct{}), logs: &syncBuffer{}}
	go p.read()
	return p
}

type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// serving is a Server whose handler is f.
func serving(f func(http.ResponseWriter, *http.Request)) *Server {
	return &Server{Handler: http.HandlerFunc(f)}
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.record("write: closed")
	}
}

// send writes items of package h2test in one write.
func (p *peer) send(items ...any) {
	p.t.Helper()
	p.write(p.codec.Append(nil, items...))
}

// request makes the HEADERS of a request; fields are names and values, after :method and :path.
func (p *peer) request(id uint32, method, path string, end bool, fields ...string) h2test.Block {
	all := []string{":method", method, ":scheme", "http", ":authority", "example.test", ":path", path}
	if method == "CONNECT" && !strings.HasPrefix(path, "/") {
		all = []string{":method", method, ":authority", path}
	}
	h := p.rawRequest(id, append(all, fields...)...)
	h.EndStream = end
	return h
}

// rawRequest makes the HEADERS of a request that ends there, of the given names and values alone.
func (p *peer) rawRequest(id uint32, fields ...string) h2test.Block {
	h := h2test.Block{StreamID: id, EndStream: true}
	for i := 0; i < len(fields); i += 2 {
		h.Fields = append(h.Fields, h2test.Field(fields[i], fields[i+1]))
	}
	return h
}

// get sends GET requests.
func (p *peer) get(ids ...uint32) {
	p.t.Helper()
	var fs []any
	for _, id := range ids {
		fs = append(fs, p.request(id, "GET", fmt.Sprintf("/%d", id), true))
	}
	p.send(fs...)
}

func data(id uint32, s string, end bool) frame.Data {
	return frame.Data{StreamID: id, Data: []byte(s), EndStream: end}
}

func (p *peer) record(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, fmt.Sprintf(format, args...))
}

// read records what comes until the connection ends.
func (p *peer) read() {
	var buf []byte
	chunk := make([]byte, 64<<10)
	for {
		n, err := p.nc.Read(chunk)
		buf = append(buf, chunk[:n]...)
		for {
			item, n, err := p.codec.Next(buf)
			if err != nil {
				p.t.Error(err)
			}
			if err != nil || n == 0 {
				break
			}
			p.received(item)
			buf = buf[n:]
		}
		if err != nil {
			p.record("closed")
			return
		}
	}
}

// text is the form in which a peer records frames.
var text = h2test.Text{Omit: []string{"date"}}

// received records a frame, but for SETTINGS and WINDOW_UPDATE, and answers PING.
func (p *peer) received(item any) {
	switch f := item.(type) {
	case frame.Settings, frame.WindowUpdate:
	case frame.Ping:
		if !f.Ack && !p.deaf {
			f.Ack = true
			_, _ = p.nc.Write(f.Append(nil))
		}
	default:
		p.record("%s", text.Line(item))
	}
}

// want waits until all is at rest and compares what came since the last time.
func (p *peer) want(why string, frames ...string) {
	p.t.Helper()
	if slices.Contains(frames, "closed") {
		p.awaitEnd()
	}
	synctest.Wait()
	if d := cmp.Diff(frames, p.take()); d != "" {
		p.t.Errorf("%s (-want +got):\n%s", why, d)
	}
}

// awaitEnd waits until a connection that the server has ended is closed: without CloseWrite it is
// when the server has read for a second what the client still sends.
func (p *peer) awaitEnd() {
	synctest.Wait()
	if testKind == memconn.NoCloseWrite {
		time.Sleep(time.Second)
		synctest.Wait()
	}
}

// wantByStream is want for frames of several streams, whose order among each other is not
// specified. PUSH_PROMISE is of the stream that it is sent on.
func (p *peer) wantByStream(why string, frames ...string) {
	p.t.Helper()
	synctest.Wait()
	got := p.take()
	slices.SortStableFunc(got, func(a, b string) int {
		var ids [2]int
		for i, line := range [2]string{a, b} {
			var kind string
			_, _ = fmt.Sscan(line, &kind, &ids[i]) // 0: of the connection
		}
		return ids[0] - ids[1]
	})
	if d := cmp.Diff(frames, got); d != "" {
		p.t.Errorf("%s (-want +got):\n%s", why, d)
	}
}

func (p *peer) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	p.seen = nil
	return seen
}

// close ends the connection and waits for the server's end of it.
func (p *peer) close() {
	_ = p.nc.Close()
	<-p.served
}

// syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// transcript is what a script has seen, in order.
type transcript struct {
	mu   sync.Mutex
	list []string
}

func (n *transcript) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, fmt.Sprintf(format, args...))
}
