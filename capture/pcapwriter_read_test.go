package capture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A transcript has the JSON of frames and requests, by the ports and the side that has sent them,
// without what a Live and a capture cannot have alike: the times, and the order of frames of
// different sides, on which the windows depend.
type transcript struct {
	t      *testing.T
	conns  map[uint64]Connection
	lines  map[string][]string
	bodies map[string]string
	odd    []string // events of other kinds
}

func newTranscript(t *testing.T) *transcript {
	return &transcript{
		t: t, conns: map[uint64]Connection{}, lines: map[string][]string{}, bodies: map[string]string{},
	}
}

func (r *transcript) handle(e Event) {
	key := func(what any) string {
		c := r.conns[e.ConnID()]
		return fmt.Sprint(c.Client.Port(), " to ", c.Server.Port(), ", ", what)
	}
	switch e := e.(type) {
	case *Connection:
		c := *e
		if e.TLS != nil { // of which a Live does not know what the client has offered
			c.TLS = &TLS{
				Version: e.TLS.Version, CipherSuite: e.TLS.CipherSuite, ALPN: e.TLS.ALPN, ServerName: e.TLS.ServerName,
				Resumed: e.TLS.Resumed, HelloRetry: e.TLS.HelloRetry,
			}
		}
		r.conns[e.ID] = c
		r.add(key("connection"), c.TLS)
	case *Frame:
		var members map[string]any
		if err := json.Unmarshal(AppendJSON(nil, e), &members); err != nil {
			r.t.Error(err)
		}
		for _, name := range []string{"conn", "number", "time", "first", "window"} {
			delete(members, name)
		}
		r.add(key(e.Dir), members)
	case *Request:
		r.add(key("requests"), []any{
			e.Stream, e.Method, e.Scheme, e.Authority, e.Path, e.Status, e.Fields, e.Body, e.Wire, e.Complete, e.ContentType,
		})
	case *Body:
		k := key(fmt.Sprint("body ", e.Stream, e.Dir))
		r.bodies[k] += string(e.Octets)
		if e.End {
			r.add(k, r.bodies[k])
		}
	case *End:
	default:
		r.odd = append(r.odd, string(AppendJSON(nil, e)))
	}
}

func (r *transcript) add(key string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		r.t.Error(err)
	}
	r.lines[key] = append(r.lines[key], string(b))
}

// Read finds in a capture of a PcapWriter what a Live has seen: the same frames with the same
// fields, the same requests, and neither a gap nor a finding.
func TestPcapWriterRead(t *testing.T) {
	for _, c := range pcapCases {
		t.Run(c.name, func(t *testing.T) {
			live, read := newTranscript(t), newTranscript(t)
			c.also = live.handle
			capture, _ := c.run(t)
			file := struct{ io.Reader }{bytes.NewReader(capture)} // in which nothing can be looked for ahead
			sum, err := Read(file, Options{Bodies: true}, read.handle)
			if err != nil {
				t.Fatal(err)
			}
			for key, lines := range read.lines { // what a connection receives when it has ended, the Live does not see
				if n := len(live.lines[key]); len(lines) > n && slices.Equal(lines[:n], live.lines[key]) {
					if len(lines) > n+1 || !bytes.Contains([]byte(lines[n]), []byte(`"PING"`)) {
						t.Errorf("%s has more:\n%s", key, lines[n:])
					}
					read.lines[key] = lines[:n]
				}
			}
			if diff := cmp.Diff(live.lines, read.lines); diff != "" {
				t.Errorf("the Live and Read (+):\n%s", diff)
			}
			if len(live.odd)+len(read.odd) > 0 {
				t.Errorf("the Live has\n%s\nand Read\n%s", live.odd, read.odd)
			}
			if len(live.lines) != 8*c.conns {
				t.Errorf("%d kinds of lines for %d connections", len(live.lines), c.conns)
			}
			keys := c.conns
			if c.version == 0 {
				keys = 0
			}
			if sum.HTTP2 != uint64(c.conns) || sum.Keys != keys || sum.KeysUsed != keys || sum.Gaps > 0 ||
				len(sum.Problems) > 0 {
				t.Errorf("the summary is %+v", sum)
			}
		})
	}
}
