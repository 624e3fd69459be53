package stream

import (
	"fmt"
	"strings"
	"testing"
)

// Two ends that only do what their state allows must never find fault with each
// other, however their frames cross. world is everything there is to know about
// one stream between them; the test walks through all worlds.
type world struct {
	state [2]State          // 0: the client, 1: the server
	queue [2][inFlight]wire // on the way from 0 to 1 and from 1 to 0, oldest first
}

// inFlight is how many frames may be on the way in each direction.
const inFlight = 3

// wire is a frame on the way: an event, perhaps with END_STREAM. 0 is none.
type wire uint8

const endStream wire = 0x80

// frames are all that can be sent on a stream.
var frames = []struct {
	wire
	who string // who may send it: c, s or both
}{
	{wire(SendHeaders), "cs"},
	{wire(SendHeaders) | endStream, "cs"},
	{wire(SendData), "cs"},
	{wire(SendData) | endStream, "cs"},
	{wire(SendReset), "cs"},
	{wire(SendWindowUpdate), "cs"},
	{wire(SendPriority), "cs"},
	{wire(SendPushPromise), "s"},
	{wire(SendPromising), "s"},
}

// received is what the other side sees of an event.
func received(e Event) Event { return e - SendHeaders + RecvHeaders }

// apply runs a frame's events on s. ok is false when one is not Allowed.
func apply(s State, e Event, end bool, endEvent Event) (next State, v Verdict) {
	r := s.On(e)
	if r.Verdict == Allowed && end {
		r = r.Next.On(endEvent)
	}
	return r.Next, r.Verdict
}

func (w world) send(from int, f wire) (world, bool) {
	n := 0
	for n < inFlight && w.queue[from][n] != 0 {
		n++
	}
	if n == inFlight {
		return w, false
	}
	next, v := apply(w.state[from], Event(f&^endStream), f&endStream != 0, SendEndStream)
	if v != Allowed {
		return w, false
	}
	w.state[from] = next
	w.queue[from][n] = f
	return w, true
}

func (w world) receive(at int) (next world, f wire, v Verdict) {
	q := &w.queue[1-at]
	f = q[0]
	if f == 0 {
		return w, 0, Allowed
	}
	copy(q[:], q[1:])
	q[inFlight-1] = 0
	w.state[at], v = apply(w.state[at], received(Event(f&^endStream)), f&endStream != 0, RecvEndStream)
	return w, f, v
}

func (w world) String() string {
	var b strings.Builder
	for i, name := range []string{"client", "server"} {
		fmt.Fprintf(&b, "%s %v, sent", name, w.state[i])
		for _, f := range w.queue[i] {
			if f != 0 {
				fmt.Fprintf(&b, " [%v end=%v]", Event(f&^endStream), f&endStream != 0)
			}
		}
		b.WriteString("; ")
	}
	return b.String()
}

// explore walks through all worlds that follow from idle. pushed is a stream of
// the server's.
func explore(t *testing.T, pushed bool) (seen map[world]bool) {
	t.Helper()
	start := world{state: [2]State{Idle, Idle}}
	seen = map[world]bool{start: true}
	todo := []world{start}
	visit := func(w world) {
		if !seen[w] {
			seen[w] = true
			todo = append(todo, w)
		}
	}
	for len(todo) > 0 {
		w := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for i, who := range []string{"c", "s"} {
			for _, f := range frames {
				if !strings.Contains(f.who, who) || !legalForRole(w, i, f.wire, pushed) {
					continue
				}
				if next, ok := w.send(i, f.wire); ok {
					visit(next)
				}
			}
			next, f, v := w.receive(i)
			if v != Allowed && v != Ignored {
				t.Fatalf("%v%s receives %v: %v", w, who, Event(f&^endStream), v)
			}
			visit(next)
		}
	}
	return seen
}

// legalForRole holds what is not in the states: who opens which stream.
func legalForRole(w world, from int, f wire, pushed bool) bool {
	switch Event(f &^ endStream) {
	case SendHeaders:
		return w.state[from] != Idle || from == 0 && !pushed
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
	t.Logf("%d worlds of requests, %d of pushes", len(requests), len(pushes))

	// When nothing is on the way and one side is closed, so is the other.
	for _, worlds := range []map[world]bool{requests, pushes} {
		both := map[[2]State]bool{}
		for w := range worlds {
			if w.queue != [2][inFlight]wire{} {
				continue
			}
			both[w.state] = true
			if w.state[0].Closed() != w.state[1].Closed() {
				t.Errorf("at rest, and yet %v", w)
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
				t.Errorf("no world at rest in %v", want)
			}
		}
	}
}
