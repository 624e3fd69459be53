package client

import (
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/stream/priority"
)

// u is a priority of RFC 9218.
func u(urgency uint8, incremental bool) priority.Params {
	return priority.Params{Extensible: true, Urgency: urgency, Incremental: incremental}
}

// at is a place in the tree of RFC 7540, with a weight from 1 to 256.
func at(parent uint32, weight int) priority.Params {
	return priority.Params{Tree: true, DependsOn: parent, Weight: uint8(weight - 1)}
}

// both adds an urgency to a place in the tree.
func both(urgency uint8, p priority.Params) priority.Params {
	p.Extensible, p.Urgency, p.Incremental = true, urgency, true
	return p
}

// download is a response without an end, and how much of it has come.
type download struct {
	resp *http.Response
	n    atomic.Int64
	done chan error
}

// slowLink is a server behind a link that takes half a megabyte a second, which sends endless
// responses.
type slowLink struct {
	t    *testing.T
	s    *testServer
	tr   *Transport
	list []*download
}

func newSlowLink(t *testing.T, scheduler func() priority.Scheduler, h http.HandlerFunc) *slowLink {
	needsNoSockets(t)
	link := testLinkOf(memconn.Options{Bandwidth: 512 << 10, Buffer: 64 << 10})
	l := &slowLink{t: t, s: &testServer{t: t, l: memconn.Listen(link), served: make(chan error, 1)}}
	if h == nil {
		h = func(http.ResponseWriter, *http.Request) {}
	}
	l.s.srv = &server.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h(w, r)
		chunk := make([]byte, 64<<10)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})}
	l.s.srv.Scheduler = scheduler
	go func() { l.s.served <- l.s.srv.Serve(l.s.l) }()
	l.tr = l.s.transport(func(tr *Transport) { tr.TreePriorities = true })
	return l
}

// get begins a download and returns the context's handle on its priority.
func (l *slowLink) get(p priority.Params, header ...string) *download {
	l.t.Helper()
	req := newRequest(l.t, "GET", testURL, nil)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := l.tr.RoundTrip(req.WithContext(WithPriority(l.t.Context(), p)))
	if err != nil {
		l.t.Fatal(err)
	}
	d := &download{resp: resp, done: make(chan error, 1)}
	l.list = append(l.list, d)
	return d
}

// read has all downloads read, as fast as they come.
func (l *slowLink) read() {
	for _, d := range l.list {
		go func() { // ends with the connection
			buf := make([]byte, 32<<10)
			for {
				n, err := d.resp.Body.Read(buf)
				d.n.Add(int64(n))
				if err != nil {
					d.done <- err
					return
				}
			}
		}()
	}
}

// shares lets time pass and returns which part of what has come meanwhile belongs to each request.
func (l *slowLink) shares(d time.Duration) []float64 {
	before := make([]int64, len(l.list))
	for i, d := range l.list {
		before[i] = d.n.Load()
	}
	time.Sleep(d)
	shares, sum := make([]float64, len(l.list)), 0.0
	for i, d := range l.list {
		shares[i] = float64(d.n.Load() - before[i])
		sum += shares[i]
	}
	for i := range shares {
		shares[i] /= sum
	}
	return shares
}

func (l *slowLink) want(why string, got []float64, want ...float64) {
	l.t.Helper()
	sum := 0.0
	for _, w := range want {
		sum += w
	}
	for i, w := range want {
		if math.Abs(got[i]-w/sum) > 0.02 {
			l.t.Errorf("%s: download %d has %.1f%% of the octets, want %.1f%%; all %.3f", why, i, 100*got[i], 100*w/sum, got)
		}
	}
}

func (l *slowLink) stop() {
	for _, d := range l.list {
		_ = d.resp.Body.Close()
		if err := <-d.done; errors.Is(err, io.EOF) {
			l.t.Error("a response has ended")
		}
	}
	l.s.stop(l.tr)
	time.Sleep(time.Minute) // what is on the link arrives, and the connection with it ends
}

// Requests get the parts of a slow link that the client asks for, within 2%.
func TestPriorityShares(t *testing.T) {
	const guard = 1.0 / 64 // what RFC 9218's order gives to those that it would let starve
	for _, tt := range []struct {
		name      string
		scheduler func() priority.Scheduler
		ask       []priority.Params
		want      []float64
	}{
		{"round robin", priority.NewRoundRobin, []priority.Params{u(0, false), u(7, false), {}}, []float64{1, 1, 1}},
		{
			"the same urgency, incremental", priority.NewExtensible,
			[]priority.Params{u(3, true), u(3, true), u(3, true)},
			[]float64{1, 1, 1},
		},
		{
			"the same urgency, one by one", priority.NewExtensible,
			[]priority.Params{u(3, false), {}, u(3, false)},
			[]float64{1 - guard, guard / 2, guard / 2},
		},
		{
			"urgency", priority.NewExtensible,
			[]priority.Params{u(6, true), u(1, true), u(1, true)},
			[]float64{guard, (1 - guard) / 2, (1 - guard) / 2},
		},
		{"tree weights", priority.NewTree, []priority.Params{at(0, 16), at(0, 32), at(0, 80)}, []float64{1, 2, 5}},
		{"no place in the tree is weight 16", priority.NewTree, []priority.Params{{}, at(0, 48)}, []float64{1, 3}},
		{"the tree is followed on sight", priority.NewAuto, []priority.Params{at(0, 1), at(0, 3)}, []float64{1, 3}},
		{
			"RFC 9218 is followed on sight", priority.NewAuto,
			[]priority.Params{u(1, true), u(5, true), u(1, true)},
			[]float64{(1 - guard) / 2, guard, (1 - guard) / 2},
		},
		{"nothing is stated", nil, []priority.Params{{}, {}, {}}, []float64{1, 1, 1}},
		{"urgency, by default", nil, []priority.Params{{}, u(0, true)}, []float64{guard, 1 - guard}},
		{"the tree, by default", nil, []priority.Params{at(0, 256), {}}, []float64{16, 1}},
		{"both, by default", nil, []priority.Params{both(6, at(0, 256)), both(0, at(0, 1))}, []float64{guard, 1 - guard}},
		{
			"none is the default", priority.NewExtensible,
			[]priority.Params{u(4, true), {}, u(4, false)},
			[]float64{guard / 2, 1 - guard, guard / 2},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newSlowLink(t, tt.scheduler, nil)
				for _, p := range tt.ask {
					l.get(p)
				}
				l.read()
				l.shares(5 * time.Second)
				l.want("shares", l.shares(16*time.Second), tt.want...)
				l.stop()
			})
		})
	}
}

// A change while the responses run, by the client.
func TestPrioritySharesFollowUpdates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSlowLink(t, priority.NewExtensible, nil)
		one, two := l.get(u(1, true)), l.get(u(5, true))
		l.read()
		l.shares(5 * time.Second)
		l.want("as asked", l.shares(16*time.Second), 63, 1)
		if err := UpdatePriority(two.resp.Request.Context(), u(0, true)); err != nil {
			t.Error(err)
		}
		l.shares(5 * time.Second)
		l.want("after PRIORITY_UPDATE", l.shares(16*time.Second), 1, 63)
		if err := UpdatePriority(one.resp.Request.Context(), u(0, true)); err != nil {
			t.Error(err)
		}
		l.shares(5 * time.Second)
		l.want("both alike", l.shares(16*time.Second), 1, 1)
		l.stop()
	})
}

// What the server says counts for more, by field or by call.
func TestPrioritySharesFollowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSlowLink(t, priority.NewExtensible, func(w http.ResponseWriter, r *http.Request) {
			if v := r.Header.Get("Say"); v != "" {
				w.Header().Set("Priority", v)
			}
			if v, err := strconv.Atoi(r.Header.Get("Set")); err == nil {
				if err := server.SetPriority(w, u(uint8(v), true)); err != nil {
					t.Error(err)
				}
			}
		})
		l.get(u(4, true))
		said := l.get(u(7, true), "Say", "u=2")
		set := l.get(u(7, false), "Set", "2")
		l.read()
		l.shares(5 * time.Second)
		l.want("the server's word", l.shares(16*time.Second), 1, 63.0/2, 63.0/2)
		for _, d := range []*download{said, set} {
			if err := UpdatePriority(d.resp.Request.Context(), u(7, true)); err != nil {
				t.Error(err)
			}
		}
		l.shares(5 * time.Second)
		l.want("the client's protest", l.shares(16*time.Second), 1, 63.0/2, 63.0/2)
		l.stop()
	})
}

// Children in the tree share what their parent leaves, and changes of the tree are followed (RFC
// 7540 §5.3).
func TestPrioritySharesInTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSlowLink(t, nil, nil)
		parent := l.get(at(0, 16)) // stream 1
		l.get(at(1, 200))          // below it
		l.get(at(0, 16))           // beside it
		child := l.get(at(1, 100)) // below it, too
		l.read()
		l.shares(5 * time.Second)
		l.want("children wait", l.shares(16*time.Second), 1, 0, 1, 0)
		if err := UpdatePriority(parent.resp.Request.Context(), at(0, 48)); err != nil {
			t.Error(err)
		}
		l.shares(5 * time.Second)
		l.want("another weight", l.shares(16*time.Second), 3, 0, 1, 0)
		if err := UpdatePriority(child.resp.Request.Context(), at(0, 64)); err != nil {
			t.Error(err)
		}
		l.shares(5 * time.Second)
		l.want("another parent", l.shares(16*time.Second), 3, 0, 1, 4)
		l.stop()
	})
}
