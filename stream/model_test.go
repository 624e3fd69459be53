package stream

import (
	"fmt"
	"strings"
	"testing"
)

// Two endpoints that send only what their state allows must never detect an error of each other,
// however their frames cross. A pair is the complete state of one stream between them. The test
// visits all pairs that can be reached.
type pair struct {
	state [2]State               // 0: the client, 1: the server
	queue [2][inFlight]sentFrame // in flight from 0 to 1 and from 1 to 0, oldest first
}

// inFlight is how many frames may be in flight in each direction.
const inFlight = 3

// sentFrame is a frame in flight: an event, perhaps with endStream. 0 is none.
type sentFrame uint8

const endStream sentFrame = 0x80

// frames are all that can be sent on a stream.
var frames = []struct {
	sentFrame
	roles string // the roles that may send it: c, s or both
}{
	{sentFrame(SendHeaders), "cs"},
	{sentFrame(SendHeaders) | endStream, "cs"},
	{sentFrame(SendData), "cs"},
	{sentFrame(SendData) | endStream, "cs"},
	{sentFrame(SendReset), "cs"},
	{sentFrame(SendWindowUpdate), "cs"},
	{sentFrame(SendPriority), "cs"},
	{sentFrame(SendPushPromise), "s"},
	{sentFrame(SendPromising), "s"},
}

// received returns the event at the other endpoint for a sent one.
func received(e Event) Event { return e - SendHeaders + RecvHeaders }

// apply applies the events of a frame to s: e, and endEvent if the frame has END_STREAM. The
// verdict is Allowed if both are.
func apply(s State, e Event, end bool, endEvent Event) (next State, v Verdict) {
	r := s.On(e)
	if r.Verdict == Allowed && end {
		r = r.Next.On(endEvent)
	}
	return r.Next, r.Verdict
}

func (p pair) send(from int, f sentFrame) (pair, bool) {
	n := 0
	for n < inFlight && p.queue[from][n] != 0 {
		n++
	}
	if n == inFlight {
		return p, false
	}
	next, v := apply(p.state[from], Event(f&^endStream), f&endStream != 0, SendEndStream)
	if v != Allowed {
		return p, false
	}
	p.state[from] = next
	p.queue[from][n] = f
	return p, true
}

func (p pair) receive(at int) (next pair, f sentFrame, v Verdict) {
	q := &p.queue[1-at]
	f = q[0]
	if f == 0 {
		return p, 0, Allowed
	}
	copy(q[:], q[1:])
	q[inFlight-1] = 0
	p.state[at], v = apply(p.state[at], received(Event(f&^endStream)), f&endStream != 0, RecvEndStream)
	return p, f, v
}

func (p pair) String() string {
	var b strings.Builder
	for i, name := range []string{"client", "server"} {
		fmt.Fprintf(&b, "%s %v, sent", name, p.state[i])
		for _, f := range p.queue[i] {
			if f != 0 {
				fmt.Fprintf(&b, " [%v end=%v]", Event(f&^endStream), f&endStream != 0)
			}
		}
		b.WriteString("; ")
	}
	return b.String()
}

// explore visits all pairs that can be reached from idle. pushed says whether the stream is one
// that the server promises.
func explore(t *testing.T, pushed bool) (seen map[pair]bool) {
	t.Helper()
	start := pair{state: [2]State{Idle, Idle}}
	seen = map[pair]bool{start: true}
	todo := []pair{start}
	visit := func(p pair) {
		if !seen[p] {
			seen[p] = true
			todo = append(todo, p)
		}
	}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for i, role := range []string{"c", "s"} {
			for _, f := range frames {
				if !strings.Contains(f.roles, role) || !legalForRole(p, i, f.sentFrame, pushed) {
					continue
				}
				if next, ok := p.send(i, f.sentFrame); ok {
					visit(next)
				}
			}
			next, f, v := p.receive(i)
			if v != Allowed && v != Ignored {
				t.Fatalf("%v%s receives %v: %v", p, role, Event(f&^endStream), v)
			}
			visit(next)
		}
	}
	return seen
}

// legalForRole has the rule that is not in the states: which role opens which stream.
func legalForRole(p pair, from int, f sentFrame, pushed bool) bool {
	switch Event(f &^ endStream) {
	case SendHeaders:
		return p.state[from] != Idle || from == 0 && !pushed
	case SendPushPromise:
		return pushed
	case SendPromising:
		return !pushed // §6.6: only on a peer-initiated stream
	}
	return true
}

func TestTwoEndsNeverDisagree(t *testing.T) {
	requests := explore(t, false)
	pushes := explore(t, true)
	t.Logf("%d pairs of requests, %d of pushes", len(requests), len(pushes))

	// When nothing is in flight and one endpoint is closed, so is the other.
	for _, pairs := range []map[pair]bool{requests, pushes} {
		both := map[[2]State]bool{}
		for p := range pairs {
			if p.queue != [2][inFlight]sentFrame{} {
				continue
			}
			both[p.state] = true
			if p.state[0].Closed() != p.state[1].Closed() {
				t.Errorf("nothing is in flight, and yet %v", p)
			}
		}
		for _, want := range [][2]State{
			{ClosedEnd, ClosedEnd},
			{ClosedResetLocal, ClosedResetRemote},
			{ClosedResetRemote, ClosedResetLocal},
			{ClosedResetLocal, ClosedResetLocal},
			{ClosedResetLocal, ClosedEnd},
		} {
			if !both[want] {
				t.Errorf("no pair without frames in flight is in %v", want)
			}
		}
	}
}
