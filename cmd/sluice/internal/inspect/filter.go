package inspect

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-go/sluice/capture"
)

// A filter lets through a part of the events.
type filter struct {
	conns   []uint64
	streams []uint32
	types   []string      // of frames, in capitals
	host    string        // in lower case; ".example.com" has those below it, too
	chosen  *chosen       // of --errors; nil is all
	hosts   map[conn]bool // streams of the host
	heads   map[uint64]*capture.Connection
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
	f := &filter{hosts: map[conn]bool{}, heads: map[uint64]*capture.Connection{}}
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
		f.types = append(f.types, strings.ToUpper(strings.ReplaceAll(s, "-", "_")))
	}
	f.host = strings.ToLower(o.Host)
	return f, nil
}

// to returns a handler of all events that calls next for those that are wanted. The head of a
// connection comes with its first event.
func (f *filter) to(next capture.Handler) capture.Handler {
	if f.conns == nil && f.streams == nil && f.types == nil && f.host == "" && f.chosen == nil {
		return next
	}
	return func(e capture.Event) {
		id := e.ConnID()
		switch e := e.(type) {
		case *capture.Connection:
			if f.conns == nil || slices.Contains(f.conns, id) {
				f.keep(e, next)
			}
			return
		case *capture.End:
			_, unseen := f.heads[id]
			delete(f.heads, id)
			if unseen || f.conns != nil && !slices.Contains(f.conns, id) {
				return
			}
			next(e)
			return
		}
		if !f.wants(e) {
			return
		}
		if head, ok := f.heads[id]; ok {
			delete(f.heads, id)
			next(head)
		}
		next(e)
	}
}

// keep keeps the head of a connection until something of it is shown.
func (f *filter) keep(e *capture.Connection, next capture.Handler) {
	if len(f.heads) >= maxHeads {
		next(e)
		return
	}
	head := *e
	if e.TLS != nil {
		t := *e.TLS
		t.Offered, t.ClientRandom = slices.Clone(t.Offered), slices.Clone(t.ClientRandom)
		head.TLS = &t
	}
	f.heads[e.ID] = &head
}

// wants reports whether an event is to be shown.
func (f *filter) wants(e capture.Event) bool {
	id := e.ConnID()
	if f.conns != nil && !slices.Contains(f.conns, id) {
		return false
	}
	stream, has := streamOf(e)
	hosted := f.host == "" || f.ofHost(e, id, stream)
	if !hosted || f.streams != nil && !(has && slices.Contains(f.streams, stream)) {
		return false
	}
	if f.chosen != nil && !f.chosen.has(id, stream) {
		return false
	}
	if f.types == nil {
		return true
	}
	frame, ok := e.(*capture.Frame)
	return ok && slices.Contains(f.types, frame.Header.Type.String())
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
