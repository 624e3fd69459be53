package inspect

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/frame"
)

// A filter lets through a part of the events.
type filter struct {
	conns   []uint64
	streams []uint32
	types   []frame.Type
	host    string        // in lower case; ".example.com" has those below it, too
	chosen  *chosen       // of --errors; nil is all
	hosts   map[conn]bool // streams of the host
	passed  bool          // something is shown, or there is no filter
}

// A conn names a stream of a connection.
type conn struct {
	id     uint64
	stream uint32
}

// maxHeads bounds the heads of connections, and the streams of a host, that a filter keeps.
const maxHeads = 1 << 16

// newFilter checks the filters of o.
func newFilter(o *Options) (*filter, error) {
	f := &filter{hosts: map[conn]bool{}}
	for _, s := range o.Conns {
		n, err := strconv.ParseUint(strings.TrimPrefix(s, "#"), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("--conn %s: want numbers of connections, from 1", s)
		}
		f.conns = append(f.conns, n)
	}
	for _, s := range o.Streams {
		n, err := strconv.ParseUint(s, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("--stream %s: want numbers of streams; 0 is the connection", s)
		}
		f.streams = append(f.streams, uint32(n))
	}
	for _, s := range o.Types {
		typ, err := frameType(s)
		if err != nil {
			return nil, err
		}
		f.types = append(f.types, typ)
	}
	f.host = strings.ToLower(o.Host)
	return f, nil
}

// frameType is the type of frames that a name stands for, in any case: that of an RFC, or a number
// such as 0x2a or UNKNOWN_0x2a.
func frameType(name string) (frame.Type, error) {
	text := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	number, err := strconv.ParseUint(strings.TrimPrefix(text, "UNKNOWN_"), 0, 8)
	if err == nil {
		return frame.Type(number), nil
	}
	var known []string
	for t := range frame.Type(math.MaxUint8) {
		switch {
		case !t.Known():
		case t.String() == text:
			return t, nil
		default:
			known = append(known, t.String())
		}
	}
	return 0, fmt.Errorf(
		"--type %s: want types of frames: %s, or a number such as 0x2a", name, strings.Join(known, ", "),
	)
}

// A gate lets through the events of connections that something is shown of: their heads come with
// the first event that is.
type gate struct {
	next  capture.Handler
	heads map[uint64]*capture.Connection
}

// to returns a handler of all events. It calls all for those of the streams that are wanted, and
// shown for those of them that --type wants, too. Either may be nil.
func (f *filter) to(shown, all capture.Handler) capture.Handler {
	var gates []*gate
	for _, h := range []capture.Handler{shown, all} {
		if h != nil {
			gates = append(gates, &gate{h, map[uint64]*capture.Connection{}})
		}
	}
	if f.conns == nil && f.streams == nil && f.types == nil && f.host == "" && f.chosen == nil {
		f.passed = true
		return func(e capture.Event) {
			for _, g := range gates {
				g.next(e)
			}
		}
	}
	return func(e capture.Event) {
		if f.conns != nil && !slices.Contains(f.conns, e.ConnID()) {
			return
		}
		_, isHead := e.(*capture.Connection)
		_, isEnd := e.(*capture.End)
		wanted := isHead || isEnd || f.wants(e)
		for i, g := range gates {
			switch {
			case isHead:
				g.keep(e.(*capture.Connection))
			case isEnd:
				g.end(e)
			case wanted && (i > 0 || shown == nil || f.typed(e)):
				f.passed = f.passed || i == 0
				g.pass(e)
			}
		}
	}
}

// keep keeps the head of a connection until something of it is shown.
func (g *gate) keep(e *capture.Connection) {
	if len(g.heads) >= maxHeads {
		g.next(e)
		return
	}
	head := *e
	if e.TLS != nil {
		t := *e.TLS
		t.Offered, t.ClientRandom = slices.Clone(t.Offered), slices.Clone(t.ClientRandom)
		head.TLS = &t
	}
	g.heads[e.ID] = &head
}

// pass lets an event through, behind the head of its connection.
func (g *gate) pass(e capture.Event) {
	if head, ok := g.heads[e.ConnID()]; ok {
		delete(g.heads, e.ConnID())
		g.next(head)
	}
	g.next(e)
}

// end lets the End of a connection through that something is shown of.
func (g *gate) end(e capture.Event) {
	if _, unseen := g.heads[e.ConnID()]; !unseen {
		g.next(e)
	}
	delete(g.heads, e.ConnID())
}

// typed reports whether an event is a frame of a type that is wanted; without --type, all are.
func (f *filter) typed(e capture.Event) bool {
	if f.types == nil {
		return true
	}
	fr, ok := e.(*capture.Frame)
	return ok && slices.Contains(f.types, fr.Header.Type)
}

// wants reports whether an event is to be shown.
func (f *filter) wants(e capture.Event) bool {
	id := e.ConnID()
	stream, has := streamOf(e)
	hosted := f.host == "" || f.ofHost(e, id, stream)
	if !hosted || f.streams != nil && !(has && slices.Contains(f.streams, stream)) {
		return false
	}
	return f.chosen == nil || f.chosen.has(id, stream)
}

// streamOf is the stream that an event belongs to; false is none that it says.
func streamOf(e capture.Event) (uint32, bool) {
	switch e := e.(type) {
	case *capture.Frame:
		return e.Header.StreamID, true
	case *capture.Request:
		return e.Stream, true
	case *capture.Stall:
		return e.Stream, true
	case *capture.Finding:
		return e.Stream, true
	case *capture.Body:
		return e.Stream, true
	case *capture.Message:
		return e.Stream, true
	default:
		return 0, false
	}
}

// ofHost reports whether an event belongs to a request for the host. Streams are known by their
// header section: what comes before it on a stream is not shown.
func (f *filter) ofHost(e capture.Event, id uint64, stream uint32) bool {
	switch e := e.(type) {
	case *capture.Frame:
		if e.Fields != nil {
			if p := promised(e); p != 0 {
				stream = p
			}
			f.note(conn{id, stream}, e.Fields)
		}
	case *capture.Message:
		f.note(conn{id, stream}, e.Fields)
	case *capture.Request:
		defer delete(f.hosts, conn{id, stream}) // it is over
		return f.hosts[conn{id, stream}] || f.matches(e.Authority)
	}
	return stream != 0 && f.hosts[conn{id, stream}]
}

// note remembers a stream whose fields name the host.
func (f *filter) note(c conn, fields []capture.Field) {
	for i := range fields {
		name := fields[i].Name
		names := name == ":authority" || strings.EqualFold(name, "host")
		if names && f.matches(fields[i].Value) && len(f.hosts) < maxHeads {
			f.hosts[c] = true
		}
	}
}

// matches reports whether an authority is of the host.
func (f *filter) matches(authority string) bool {
	authority = strings.ToLower(authority)
	if authority == f.host {
		return true
	}
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		host = strings.Trim(authority, "[]")
	}
	if strings.HasPrefix(f.host, ".") {
		return host == f.host[1:] || strings.HasSuffix(host, f.host)
	}
	return host == f.host
}
