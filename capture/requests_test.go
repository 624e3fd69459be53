package capture

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// A played connection gives frames to a session, one each millisecond.
type played struct {
	t      *testing.T
	s      *session
	now    time.Time
	events []Event
}

// at0 is when played connections begin.
var at0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newPlayed(t *testing.T, o Options) *played {
	p := &played{t: t, now: at0}
	a := &analyzer{opts: o, handler: func(e Event) {
		switch e := e.(type) {
		case *Request:
			r := *e
			p.events = append(p.events, &r)
		case *Body:
			b := *e
			b.Octets = []byte(string(e.Octets))
			p.events = append(p.events, &b)
		case *Message:
			m := *e
			p.events = append(p.events, &m)
		}
	}}
	p.s = a.open(netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:2"), at0)
	return p
}

// send plays items of h2test: blocks as one frame, others as they are.
func (p *played) send(d Dir, items ...any) {
	for _, item := range items {
		p.now = p.now.Add(time.Millisecond)
		if b, ok := item.(h2test.Block); ok {
			p.block(d, b)
			continue
		}
		wire := item.(frame.Frame).Append(nil)
		p.s.frame(d, p.now, p.now, frame.ParseHeader(wire), wire[frame.HeaderLen:], 0)
	}
}

// block plays a header block without HPACK.
func (p *played) block(d Dir, b h2test.Block) {
	f := &Frame{First: p.now, Time: p.now, Dir: d}
	for _, hf := range b.Fields {
		f.Fields = append(f.Fields, Field{Name: hf.Name, Value: hf.Value})
	}
	fragment := make([]byte, 10)
	frames := max(b.Frames, 1)
	switch {
	case b.PromisedID != 0:
		f.Parsed = frame.PushPromise{
			StreamID: b.StreamID, PromisedID: b.PromisedID, EndHeaders: frames == 1, Fragment: fragment,
		}
	default:
		h := frame.Headers{StreamID: b.StreamID, EndStream: b.EndStream, EndHeaders: frames == 1, Fragment: fragment}
		if b.Priority != nil {
			h.HasPriority, h.Priority = true, *b.Priority
		}
		f.Parsed = h
	}
	for i := range frames {
		if i > 0 {
			f.Parsed = frame.Continuation{StreamID: b.StreamID, EndHeaders: i == frames-1, Fragment: fragment}
		}
		one := *f
		one.Header = f.Parsed.FrameHeader()
		if i < frames-1 {
			one.Fields = nil
		}
		p.s.deliver(&one)
	}
}

// requests returns those that were delivered.
func (p *played) requests() []*Request {
	var list []*Request
	for _, e := range p.events {
		if r, ok := e.(*Request); ok {
			list = append(list, r)
		}
	}
	return list
}

func http2Played(t *testing.T, o Options) *played {
	p := newPlayed(t, o)
	p.s.found(HTTP2, "preface")
	return p
}

// line is a request in one line.
func line(r *Request) string {
	var b strings.Builder
	add := func(s string, when bool) {
		if when {
			b.WriteString(" " + s)
		}
	}
	b.WriteString(strconv.Itoa(int(r.Stream)))
	add(r.Method, r.Method != "")
	add(r.Path, r.Path != "")
	for _, i := range r.Interim {
		add(strconv.Itoa(i.Status), true)
	}
	add(strconv.Itoa(r.Status), r.Status != 0)
	add("body="+strconv.FormatInt(r.Body[0], 10)+"/"+strconv.FormatInt(r.Body[1], 10), r.Body != [2]int64{})
	add("pushed on "+strconv.Itoa(int(r.Parent)), r.Pushed)
	add("priority="+r.Priority, r.Priority != "")
	add("weight="+strconv.Itoa(r.Weight), r.Weight != 0)
	add("reset by "+r.ResetBy+" "+r.ResetCode.String(), r.ResetBy != "")
	add("goaway", r.GoAway)
	add("start missing", r.StartMissing)
	add("lossy", r.Lossy)
	add("complete", r.Complete)
	return b.String()
}

func TestRequests(t *testing.T) {
	type step struct {
		d     Dir
		items []any
	}
	c := func(items ...any) step { return step{Client, items} }
	s := func(items ...any) step { return step{Server, items} }
	for _, tt := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{
			"a request",
			[]step{c(h2test.Get(1)), s(h2test.Response(1, 200), h2test.Data(1, "abc"), h2test.DataEnd(1, "de"))},
			[]string{"1 GET / 200 body=0/5 complete"},
		},
		{
			"interleaved, answered in reverse",
			[]step{
				c(h2test.Get(1), h2test.Post(3), h2test.Data(3, "x")), s(h2test.Response(1, 200)), c(h2test.DataEnd(3, "y")),
				s(h2test.Response(3, 204).End(), h2test.DataEnd(1, "")),
			},
			[]string{"3 POST / 204 body=2/0 complete", "1 GET / 200 complete"},
		},
		{
			"interim, trailers, CONTINUATION",
			[]step{
				c(h2test.Get(1).Cut(3)),
				s(h2test.Response(1, 103), h2test.Response(1, 200).Cut(2), h2test.Data(1, "x"), h2test.Trailers(1, "a: b")),
			},
			[]string{"1 GET / 103 200 body=0/1 complete"},
		},
		{
			"answered before the request is over, which is then reset",
			[]step{
				c(h2test.Post(1)), s(h2test.Response(1, 413).End(), h2test.RST(1, frame.NoError)), c(h2test.Data(1, "late")),
			},
			[]string{"1 POST / 413 reset by server NO_ERROR"},
		},
		{
			"cancelled, DATA under way",
			[]step{
				c(h2test.Get(1), h2test.RST(1, frame.Cancel)),
				s(h2test.Response(1, 200), h2test.Data(1, "late"), h2test.RST(1, frame.Cancel)),
			},
			[]string{"1 GET / reset by client CANCEL"},
		},
		{
			"push",
			[]step{
				c(h2test.Get(1)), s(h2test.Promise(1, 2, ":method: GET", ":path: /style").Cut(2), h2test.Response(2, 200)),
				s(h2test.Response(1, 200).End(), h2test.DataEnd(2, "css")),
			},
			[]string{"1 GET / 200 complete", "2 GET /style 200 body=0/3 pushed on 1 complete"},
		},
		{
			"priorities",
			[]step{
				c(
					frame.PriorityUpdate{PrioritizedID: 3, Value: []byte("u=1")},
					frame.Priority{StreamID: 5, PriorityParam: frame.PriorityParam{Weight: 9}},
					h2test.Get(1, "priority: u=2").WithPriority(frame.PriorityParam{Weight: 255}),
					h2test.Get(3, "priority: u=5"), h2test.Get(5),
					frame.Priority{StreamID: 1, PriorityParam: frame.PriorityParam{Weight: 3}},
				),
				s(h2test.Response(1, 200).End(), h2test.Response(3, 200).End(), h2test.Response(5, 200).End()),
			},
			[]string{
				"1 GET / 200 priority=u=2 weight=4 complete", "3 GET / 200 priority=u=1 complete", "5 GET / 200 weight=10 complete",
			},
		},
		{
			"GOAWAY",
			[]step{
				c(h2test.Get(1), h2test.Get(3), h2test.Get(5)),
				s(h2test.GoAway(1, frame.NoError, ""), h2test.Response(1, 200).End()),
			},
			[]string{"3 GET / goaway", "5 GET / goaway", "1 GET / 200 complete"},
		},
		{
			"open at the end",
			[]step{c(h2test.Get(3), h2test.Post(5)), s(h2test.Response(3, 200), h2test.Data(3, "x"))},
			[]string{"3 GET / 200 body=0/1", "5 POST /"},
		},
		{
			"a response alone",
			[]step{s(h2test.Data(7, "x"), h2test.Trailers(7, "grpc-status: 0"))},
			[]string{"7 body=0/1 start missing"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := http2Played(t, Options{})
			for _, step := range tt.steps {
				p.send(step.d, step.items...)
			}
			p.s.end(p.now, wire.Open)
			var got []string
			for _, r := range p.requests() {
				got = append(got, line(r))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
