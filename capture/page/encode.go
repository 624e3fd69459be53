package page

import (
	"crypto/tls"
	"encoding/hex"
	"time"

	"github.com/sluice-go/sluice/capture"
)

// Events become arrays that begin with a letter, their kind; assets/model.js reads them. What most
// events of a kind have stands at a fixed place, the rest in an object at the end.

// event appends an event and reports whether it has a form in the page.
func (e *encoder) event(ev capture.Event, chunks bool) bool {
	switch ev := ev.(type) {
	case *capture.Connection:
		e.connection(ev)
	case *capture.Frame:
		e.frame(ev)
	case *capture.Request:
		e.request(ev, chunks)
	case *capture.Stall:
		e.stall(ev)
	case *capture.Finding:
		e.finding(ev)
	case *capture.Gap:
		e.gap(ev)
	case *capture.Message:
		e.message(ev)
	case *capture.End:
		e.end(ev)
	default:
		return false
	}
	return true
}

// begin opens the array of an event.
func (e *encoder) begin(kind string, conn uint64) {
	e.open('[')
	e.string(kind)
	e.uint(conn)
}

func (e *encoder) connection(c *capture.Connection) {
	e.begin("c", c.ID)
	e.time(c.Time)
	e.open('{')
	e.text("client", c.Client.String())
	e.text("server", c.Server.String())
	e.text("protocol", string(c.Protocol))
	e.text("found", c.Found)
	e.number("parent", int64(c.Parent))
	e.number("parentStream", int64(c.ParentStream))
	e.number("twin", int64(c.Twin))
	e.flag("startMissing", c.StartMissing)
	e.text("leg", c.Leg)
	e.text("problem", c.Problem)
	if c.TLS != nil {
		e.key("tls")
		e.tls(c.TLS)
	}
	e.close('}')
	e.close(']')
}

func (e *encoder) stall(s *capture.Stall) {
	e.begin("s", s.Conn)
	e.uint(uint64(s.Stream))
	e.int(int64(s.Dir))
	e.int(int64(s.Window))
	e.time(s.Start)
	e.time(s.End)
	e.string(s.EndedBy)
	e.uint(s.Frame)
	e.uint(s.Periods)
	e.int(int64(s.Blocked))
	e.close(']')
}

func (e *encoder) finding(f *capture.Finding) {
	e.begin("x", f.Conn)
	e.uint(uint64(f.Stream))
	e.uint(f.Frame)
	e.time(f.Time)
	e.int(int64(f.Dir))
	e.string(f.Rule)
	e.string(f.Section)
	e.int(int64(f.Severity))
	e.string(f.Text)
	e.close(']')
}

func (e *encoder) gap(g *capture.Gap) {
	e.begin("g", g.Conn)
	e.time(g.Time)
	e.int(int64(g.Dir))
	e.int(g.Octets)
	e.string(g.Reason)
	e.string(g.Text)
	e.close(']')
}

func (e *encoder) message(m *capture.Message) {
	e.begin("m", m.Conn)
	e.uint(uint64(m.Stream))
	e.time(m.Time)
	e.int(int64(m.Dir))
	e.string(m.Line)
	e.fields(m.Fields)
	e.bool(m.Trailer)
	e.strings(m.Problems)
	e.close(']')
}

func (e *encoder) end(v *capture.End) {
	e.begin("e", v.Conn)
	e.time(v.Time)
	e.string(v.How)
	e.uint(v.Frames)
	e.uint(v.Requests)
	e.pair(v.Octets)
	e.pair(v.Lost)
	e.close(']')
}

func (e *encoder) request(r *capture.Request, chunks bool) {
	e.begin("r", r.Conn)
	e.uint(uint64(r.Stream))
	for _, t := range [...]time.Time{r.Start, r.RequestEnd, r.Response, r.FirstData, r.End} {
		e.time(t)
	}
	e.open('{')
	e.text("method", r.Method)
	e.text("scheme", r.Scheme)
	e.text("authority", r.Authority)
	e.text("path", r.Path)
	e.text("protocol", r.Protocol)
	e.number("status", int64(r.Status))
	e.text("priority", r.Priority)
	e.number("weight", int64(r.Weight))
	e.number("dependsOn", int64(r.DependsOn))
	e.flag("exclusive", r.Exclusive)
	e.flag("pushed", r.Pushed)
	e.number("parent", int64(r.Parent))
	e.flag("complete", r.Complete)
	e.text("type", r.ContentType)
	e.flag("goaway", r.GoAway)
	e.flag("upgraded", r.Upgraded)
	e.flag("startMissing", r.StartMissing)
	e.flag("lossy", r.Lossy)
	e.text("problem", r.Problem)
	if r.ResetBy != "" {
		e.text("resetBy", r.ResetBy)
		e.text("resetCode", r.ResetCode.String())
	}
	e.key("body")
	e.pair(r.Body)
	e.key("wire")
	e.pair(r.Wire)
	e.wait(r.Wait)
	e.interim(r.Interim)
	e.grpc(r.GRPC)
	if chunks {
		e.chunks(r.DataChunks)
	}
	e.close('}')
	e.close(']')
}

// wait appends what a request has waited for, if it has.
func (e *encoder) wait(w capture.Wait) {
	if w == (capture.Wait{}) {
		return
	}
	e.key("wait")
	e.open('[')
	for _, d := range [...]time.Duration{w.Stream, w.Connection, w.Concurrency, w.Server, w.Network} {
		e.int(int64(d))
	}
	e.close(']')
}

func (e *encoder) interim(list []capture.Interim) {
	if len(list) == 0 {
		return
	}
	e.key("interim")
	e.open('[')
	for _, i := range list[:min(len(list), maxList)] {
		e.int(int64(i.Status))
	}
	e.close(']')
}

func (e *encoder) grpc(g *capture.GRPC) {
	if g == nil {
		return
	}
	e.key("grpc")
	e.open('{')
	e.text("method", g.Method)
	e.key("count")
	e.pair(g.Count)
	e.key("status")
	e.int(int64(g.Status))
	e.text("message", g.Message)
	e.close('}')
}

// chunks appends the DATA of a response; the page needs it where frames are missing.
func (e *encoder) chunks(cs []capture.Chunk) {
	e.key("chunks")
	e.open('[')
	for _, c := range cs {
		e.time(c.Time)
		e.int(c.Octets)
	}
	e.close(']')
}

func (e *encoder) tls(t *capture.TLS) {
	e.open('{')
	e.text("version", t.VersionName())
	if t.CipherSuite != 0 {
		e.text("cipher", tls.CipherSuiteName(t.CipherSuite))
	}
	e.text("alpn", t.ALPN)
	if len(t.Offered) > 0 {
		e.key("offered")
		e.strings(t.Offered)
	}
	e.text("name", t.ServerName)
	e.text("random", hex.EncodeToString(t.ClientRandom))
	e.flag("resumed", t.Resumed)
	e.flag("helloRetry", t.HelloRetry)
	e.flag("earlyData", t.EarlyData)
	e.flag("encrypted", t.Encrypted)
	e.close('}')
}

// pair appends the numbers of the two directions.
func (e *encoder) pair(p [2]int64) {
	e.open('[')
	e.int(p[0])
	e.int(p[1])
	e.close(']')
}

// strings appends a list of texts.
func (e *encoder) strings(list []string) {
	e.open('[')
	for _, s := range list[:min(len(list), maxList)] {
		e.string(s)
	}
	e.close(']')
}
