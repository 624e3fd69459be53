package server

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
)

// panicky is a Tracer that does not bear PING.
type panicky struct{}

func (panicky) TraceFrame(_ *conn.Conn, f conn.FrameTrace) {
	if f.Header.Type == frame.TypePing {
		panic("oh no, a PING")
	}
}

// A panic that no handler has raised ends one connection, and is not silent.
func TestPanicOfConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var states transcript
		srv := serving(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		srv.Tracer = panicky{}
		srv.ConnState = func(_ net.Conn, s http.ConnState) { states.add("%v", s) }
		other := newPeer(t, srv)
		other.get(1)
		synctest.Wait()
		states.list = nil
		p := newPeer(t, srv)
		p.logs = other.logs // both write to the server's
		p.get(1)
		p.send(frame.Ping{})
		<-p.served
		p.want("the socket is closed", "closed")
		if got := strings.Join(states.list, " "); got != "new active idle active idle closed" {
			t.Errorf("ConnState was told %q", got)
		}
		if got := p.logs.String(); !strings.Contains(got, "panic serving client:1: oh no, a PING\n") ||
			!strings.Contains(got, "panicky.TraceFrame") {
			t.Errorf("the log is %q", got)
		}
		other.want("the other connection lives")
		other.send(frame.RSTStream{StreamID: 1, Code: frame.Cancel})
		other.close()
		_ = srv.Close()
	})
}
