package conn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/internal/h2test"
)

// A pair is a client's Conn and a server's at the two ends of one connection.
type pair struct {
	t      *testing.T
	client *Client
	server *Server
	served sync.WaitGroup
	errs   [2]error // of Serve: client, server
}

// newPair connects the two. handler runs in a goroutine for each stream, which is released when it
// returns.
func newPair(t *testing.T, cn, sn net.Conn, ccfg, scfg Config, handler func(*Stream)) *pair {
	p := &pair{t: t}
	p.client = NewClient(cn, ccfg, nil)
	p.server = NewServer(sn, scfg, handlerFunc(handler))
	p.served.Go(func() { p.errs[0] = p.client.Serve() })
	p.served.Go(func() { p.errs[1] = p.server.Serve() })
	t.Cleanup(p.close)
	return p
}

// close ends both and waits for them.
func (p *pair) close() {
	p.client.Shutdown()
	p.served.Wait()
}

// wantClean says that both have ended in good order.
func (p *pair) wantClean() {
	p.t.Helper()
	p.close()
	for i, err := range p.errs {
		if err != nil {
			p.t.Errorf("Serve of the %v returned %v", [...]core.Role{core.Client, core.Server}[i], err)
		}
	}
}

// handlerFunc runs a function in a goroutine for each stream.
type handlerFunc func(*Stream)

func (f handlerFunc) HandleStreams(batch []*Stream) {
	for _, st := range batch {
		go func() { // ends when the stream does
			f(st)
			c := st.Conn()
			st.Release()
			c.Flush()
		}()
	}
}

func (handlerFunc) StreamBlocked(st *Stream) { st.Conn().Flush() }
func (handlerFunc) ConnState(bool)           {}

// echo answers with what it gets, while it gets it.
func echo(st *Stream) {
	if err := st.WriteHeaders(status2(200, "id", fmt.Sprint(st.ID())), false); err != nil {
		return
	}
	buf := make([]byte, 20_000)
	for {
		n, err := st.Read(buf)
		if _, err := st.Write(buf[:n]); err != nil {
			return
		}
		if errors.Is(err, io.EOF) {
			_ = st.Finish(nil, append([]header.Field{{Name: "echoed", Value: "yes"}}, st.Trailers()...))
			return
		}
		if err != nil {
			return
		}
	}
}

// roundTrip sends a body to echo and checks what comes back.
func (p *pair) roundTrip(body []byte) {
	if err := p.try(body); err != nil {
		p.t.Error(err)
	}
}

func (p *pair) try(body []byte) error {
	st, err := openStream(p.client, h2test.Post(0).Fields, false)
	if err != nil {
		return fmt.Errorf("OpenStream: %w", err)
	}
	defer p.client.Flush()
	defer st.Release()
	sent := make(chan error, 1)
	go func() { // ends with the stream
		_, err := st.Write(body)
		if err == nil {
			err = st.Finish(nil, h2test.Fields("sum: "+fmt.Sprint(len(body))))
		}
		p.client.Flush()
		sent <- err
	}()
	defer func() { <-sent }()
	m, err := headOf(st)
	if err != nil {
		return fmt.Errorf("Head: %w", err)
	}
	if m.Status != 200 || len(m.Fields) != 1 || m.Fields[0].Value != fmt.Sprint(st.ID()) {
		return fmt.Errorf("stream %d has the head of another: %v", st.ID(), m.Fields)
	}
	got, err := io.ReadAll(st)
	if err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	if !bytes.Equal(got, body) {
		return fmt.Errorf("stream %d: sent %d octets, got %d that differ", st.ID(), len(body), len(got))
	}
	if tr := st.Trailers(); len(tr) != 2 || tr[1].Value != fmt.Sprint(len(body)) {
		return fmt.Errorf("stream %d: trailers are %v", st.ID(), tr)
	}
	return nil
}
