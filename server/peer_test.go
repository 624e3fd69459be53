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
	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
)

// peer is a client that is written frame by frame. It lives in a bubble: what came is looked at
// when everything else has come to rest.
type peer struct {
	t      *testing.T
	nc     halfCloser
	enc    *hpack.Encoder
	block  bytes.Buffer
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
	p.write(frame.AppendSettings([]byte(frame.Preface), settings...))
	p.write(frame.AppendSettingsAck(nil))
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
	p := &peer{t: t, nc: nc, served: make(chan struct{}), logs: &syncBuffer{}}
	p.enc = newEncoder(p)
	go p.read()
	return p
}

func newEncoder(p *peer) *hpack.Encoder { return hpack.NewEncoder(&p.block) }

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
		p.note("write: closed")
	}
}

func (p *peer) send(frames ...frame.Frame) {
	p.t.Helper()
	var b []byte
	for _, f := range frames {
		b = f.Append(b)
	}
	p.write(b)
}

// request makes the HEADERS of a request; fields are names and values, after :method and :path.
func (p *peer) request(id uint32, method, path string, end bool, fields ...string) frame.Headers {
	all := []string{":method", method, ":scheme", "http", ":authority", "example.test", ":path", path}
	if method == "CONNECT" && !strings.HasPrefix(path, "/") {
		all = []string{":method", method, ":authority", path}
	}
	h := p.rawRequest(id, append(all, fields...)...)
	h.EndStream = end
	return h
}

// rawRequest makes the HEADERS of a request that ends there, of the given names and values alone.
func (p *peer) rawRequest(id uint32, fields ...string) frame.Headers {
	p.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		if err := p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			p.t.Fatal(err)
		}
	}
	return frame.Headers{StreamID: id, EndHeaders: true, EndStream: true, Fragment: bytes.Clone(p.block.Bytes())}
}

// get sends GET requests.
func (p *peer) get(ids ...uint32) {
	p.t.Helper()
	var fs []frame.Frame
	for _, id := range ids {
		fs = append(fs, p.request(id, "GET", fmt.Sprintf("/%d", id), true))
	}
	p.send(fs...)
}

func data(id uint32, s string, end bool) frame.Data {
	return frame.Data{StreamID: id, Data: []byte(s), EndStream: end}
}

func (p *peer) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, fmt.Sprintf(format, args...))
}

// read notes what comes until the connection ends.
func (p *peer) read() {
	var buf []byte
	dec := hpack.NewDecoder(4096, nil)
	chunk := make([]byte, 64<<10)
	for {
		n, err := p.nc.Read(chunk)
		buf = append(buf, chunk[:n]...)
		for {
			h, payload, n, err := frame.Split(buf, frame.MaxMaxFrameSize)
			if err != nil || n == 0 {
				break
			}
			p.came(dec, h, payload)
			buf = buf[n:]
		}
		if err != nil {
			p.note("closed")
			return
		}
	}
}

func (p *peer) came(dec *hpack.Decoder, h frame.Header, payload []byte) {
	end := ""
	if h.Flags.Has(frame.FlagEndStream) {
		end = " end"
	}
	switch h.Type {
	case frame.TypeHeaders:
		fields, err := dec.DecodeFull(payload)
		if err != nil {
			p.t.Error(err)
		}
		var b strings.Builder
		for _, f := range fields {
			if f.Name != "date" {
				fmt.Fprintf(&b, " %s=%s", f.Name, f.Value)
			}
		}
		p.note("HEADERS %d%s%s", h.StreamID, b.String(), end)
	case frame.TypePushPromise:
		f, err := frame.ParsePushPromise(h, payload)
		if err != nil {
			p.t.Error(err)
		}
		fields, err := dec.DecodeFull(f.Fragment)
		if err != nil {
			p.t.Error(err)
		}
		var b strings.Builder
		for _, f := range fields {
			fmt.Fprintf(&b, " %s", f.Value)
		}
		p.note("PUSH_PROMISE %d %d%s", h.StreamID, f.PromisedID, b.String())
	case frame.TypeData:
		if len(payload) > 100 {
			p.note("DATA %d %d octets%s", h.StreamID, len(payload), end)
		} else {
			p.note("DATA %d %q%s", h.StreamID, payload, end)
		}
	case frame.TypeRSTStream:
		f, _ := frame.ParseRSTStream(h, payload)
		p.note("RST_STREAM %d %v", h.StreamID, f.Code)
	case frame.TypeGoAway:
		f, _ := frame.ParseGoAway(h, payload)
		p.note("GOAWAY %d %v %s", f.LastStreamID, f.Code, f.DebugData)
	case frame.TypePing:
		if f, _ := frame.ParsePing(h, payload); !f.Ack && !p.deaf {
			f.Ack = true
			_, _ = p.nc.Write(f.Append(nil))
		}
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

// wantByStream is want for frames of several streams, whose order among each other is nobody's
// promise. PUSH_PROMISE is of the stream that it is sent on.
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

// notes is what a script has seen, in order.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, fmt.Sprintf(format, args...))
}
