package capture

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/tlsrecord"
	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// A feed gives octets to an analyzer, one millisecond apart, and notes the events as lines.
type feed struct {
	a     *analyzer
	s     *session
	ms    int
	codec [2]*h2test.Codec
	lines []string
	show  func(Event) string
}

func newFeed(o Options) *feed {
	f := &feed{codec: [2]*h2test.Codec{h2test.NewCodec(), h2test.NewCodec()}, show: eventLine}
	f.a = &analyzer{opts: o, keys: new(tlsrecord.Keys), twins: newTwins(), handler: func(e Event) {
		if l := f.show(e); l != "" {
			f.lines = append(f.lines, l)
		}
	}}
	f.s = f.a.open(netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("192.0.2.2:80"), f.now())
	return f
}

func (f *feed) now() time.Time { return time.UnixMilli(int64(f.ms)).UTC() }

// octets returns items as octets.
func (f *feed) octets(d Dir, items ...any) []byte { return f.codec[d].Append(nil, items...) }

// send sends items in one packet.
func (f *feed) send(d Dir, items ...any) { f.packets(d, 1<<20, items...) }

// packets sends items in packets of so many octets.
func (f *feed) packets(d Dir, size int, items ...any) {
	for p := f.octets(d, items...); len(p) > 0; {
		n := min(size, len(p))
		f.raw(d, p[:n])
		p = p[n:]
	}
}

func (f *feed) raw(d Dir, p []byte) {
	f.ms++
	f.s.Octets(wire.Dir(d), f.now(), p)
}

func (f *feed) lost(d Dir, n int64) {
	f.ms++
	f.s.Lost(wire.Dir(d), f.now(), n, "lost")
}

func (f *feed) end() {
	f.s.End(wire.Client, f.now(), wire.Closed)
	f.s.End(wire.Server, f.now(), wire.Closed)
}

// want compares the lines of events since the last call.
func (f *feed) want(t *testing.T, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, f.lines); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	f.lines = nil
}

// eventLine shows the events of connections and frames, and what is missing.
func eventLine(e Event) string {
	switch e := e.(type) {
	case *Connection:
		return connectionLine(e)
	case *Frame:
		return frameLine(e)
	case *Gap:
		return fmt.Sprintf("gap %v %d+%d %s: %s", e.Dir, e.Octets, e.Skipped, e.Reason, e.Text)
	case *End:
		return fmt.Sprintf("end %d %s, %d frames, octets %v, lost %v", e.Conn, e.How, e.Frames, e.Octets, e.Lost)
	default:
		return ""
	}
}

func connectionLine(c *Connection) string {
	s := fmt.Sprintf("connection %d %s", c.ID, c.Protocol)
	if c.Found != "" {
		s += " by " + c.Found
	}
	if c.Parent != 0 {
		s += fmt.Sprintf(" in %d stream %d", c.Parent, c.ParentStream)
	}
	if c.Twin != 0 {
		s += fmt.Sprintf(" twin %d", c.Twin)
	}
	if c.StartMissing {
		s += " start missing"
	}
	if c.Problem != "" {
		s += ": " + c.Problem
	}
	return s
}

func frameLine(f *Frame) string {
	s := fmt.Sprintf("%v %d-%d %v", f.Dir, f.First.UnixMilli(), f.Time.UnixMilli(), f.Header)
	if f.Padding > 0 {
		s += fmt.Sprintf(" pad %d", f.Padding)
	}
	for _, v := range f.Fields {
		s += fmt.Sprintf(" %s=%s", v.Name, v.Value)
		if v.State != Known {
			s += fmt.Sprintf("(%v %d)", v.State, v.Index)
		}
	}
	if f.Trailer {
		s += " trailers"
	}
	if f.Missing > 0 {
		s += fmt.Sprintf(" missing %d", f.Missing)
	}
	if f.Parsed == nil {
		s += " unparsed"
	}
	if f.Err != nil {
		s += " error: " + f.Err.Error()
	}
	return s
}

func TestSessionWhole(t *testing.T) {
	for _, size := range []int{1 << 20, 1000, 10, 3} {
		f := newFeed(Options{})
		f.show = func(e Event) string {
			if f, ok := e.(*Frame); ok { // whose times depend on the size
				f.First, f.Time = time.UnixMilli(0), time.UnixMilli(0)
			}
			return eventLine(e)
		}
		f.packets(Client, size, frame.Preface, h2test.Settings(), h2test.Post(1, "a: b").Cut(3).Pad(2))
		f.packets(Server, size, h2test.Settings(), h2test.Ack)
		f.packets(Client, size, h2test.Data(1, "hello"),
			frame.Data{StreamID: 1, Padded: true, PadLength: 4, Data: []byte("x")},
			h2test.Trailers(1, "c: d"), h2test.Get(3, "a: b"))
		f.packets(Server, size, h2test.Response(1, 103), h2test.Response(1, 200), h2test.DataEnd(1, "bye"),
			h2test.Frame(frame.TypePing, 0, 0, 1), h2test.Frame(0x42, 3, 5, 1, 2))
		f.end()
		f.want(t,
			"connection 1 h2 by preface",
			"client 0-0 SETTINGS stream=0 len=0",
			"client 0-0 HEADERS stream=1 flags=PADDED len=9 pad 3",
			"client 0-0 CONTINUATION stream=1 len=6",
			"client 0-0 CONTINUATION stream=1 flags=END_HEADERS len=6"+
				" :method=POST :scheme=https :authority=example.com :path=/ a=b",
			"server 0-0 SETTINGS stream=0 len=0",
			"server 0-0 SETTINGS stream=0 flags=ACK len=0",
			"client 0-0 DATA stream=1 len=5",
			"client 0-0 DATA stream=1 flags=PADDED len=6 pad 5",
			"client 0-0 HEADERS stream=1 flags=END_STREAM|END_HEADERS len=5 c=d trailers",
			"client 0-0 HEADERS stream=3 flags=END_STREAM|END_HEADERS len=5"+
				" :method=GET :scheme=https :authority=example.com :path=/ a=b",
			"server 0-0 HEADERS stream=1 flags=END_HEADERS len=4 :status=103",
			"server 0-0 HEADERS stream=1 flags=END_HEADERS len=1 :status=200",
			"server 0-0 DATA stream=1 flags=END_STREAM len=3",
			"server 0-0 PING stream=0 len=1 unparsed error: http2: connection error FRAME_SIZE_ERROR: "+
				"PING payload is not 8 octets (RFC 9113 §6.7)",
			"server 0-0 UNKNOWN_0x42 stream=5 flags=0x3 len=2",
			"end 1 closed, 15 frames, octets [138 74], lost [0 0]",
		)
	}
}
