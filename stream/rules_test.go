package stream

import (
	"errors"
	"testing"

	"github.com/sluice-go/sluice/frame"
)

func states() []State {
	var all []State
	for s := Idle; s < numStates; s++ {
		all = append(all, s)
	}
	return all
}

func events() []Event {
	var all []Event
	for e := SendHeaders; e < numEvents; e++ {
		all = append(all, e)
	}
	return all
}

func TestNoCellIsEmpty(t *testing.T) {
	for _, s := range states() {
		for _, e := range events() {
			r := rules[s][e]
			if r.Next == 0 || r.Next >= numStates || r.Verdict == 0 || r.Verdict >= numVerdicts {
				t.Errorf("%v, %v: rule %+v", s, e, r)
			}
		}
	}
	mustPanic(t, "the zero State", func() { State(0).On(RecvData) })
	mustPanic(t, "the zero Event", func() { Open.On(0) })
}

func TestEveryStateIsReachable(t *testing.T) {
	seen := map[State]bool{Idle: true}
	for grown := true; grown; {
		grown = false
		for s := range seen {
			for _, e := range events() {
				if next := s.On(e).Next; !seen[next] {
					seen[next], grown = true, true
				}
			}
		}
	}
	for _, s := range states() {
		if !seen[s] {
			t.Errorf("%v cannot be reached from idle", s)
		}
	}
}

// Which verdicts may change the state, on which side they are possible, and that no rule leaves
// closed or returns to idle.
func TestShapeOfRules(t *testing.T) {
	used := map[Verdict]bool{}
	for _, s := range states() {
		for _, e := range events() {
			r := s.On(e)
			used[r.Verdict] = true
			if s.Closed() && !r.Next.Closed() {
				t.Errorf("%v, %v: leaves closed for %v", s, e, r.Next)
			}
			if s != Idle && r.Next == Idle {
				t.Errorf("%v, %v: returns to idle", s, e)
			}
			switch r.Verdict {
			case Allowed:
			case StreamClosedError:
				if r.Next != ClosedResetLocal {
					t.Errorf("%v, %v: a stream error ends in %v", s, e, r.Next)
				}
			default:
				if r.Next != s {
					t.Errorf("%v, %v: %v moves the stream to %v", s, e, r.Verdict, r.Next)
				}
			}
			remoteFault := r.Verdict != Allowed && r.Verdict != Ignored && r.Verdict != Misuse
			local := e >= SendHeaders && e <= SendPriority
			if local && remoteFault {
				t.Errorf("%v, %v: our own doing is %v", s, e, r.Verdict)
			}
			if !local && r.Verdict == Misuse {
				t.Errorf("%v, %v: the peer's doing is misuse", s, e)
			}
		}
	}
	for v := Allowed; v < numVerdicts; v++ {
		if !used[v] {
			t.Errorf("%v is nowhere in the table", v)
		}
	}
}

// Rules that hold across all states.
func TestRulesOfAllStates(t *testing.T) {
	for _, s := range states() {
		for _, e := range []Event{SendPriority, RecvPriority} {
			if r := s.On(e); r != (Rule{s, Allowed}) {
				t.Errorf("%v, %v: %+v; PRIORITY is allowed in any state", s, e, r)
			}
		}
		if s != Idle {
			// §5.4.2: "an endpoint MUST NOT send a RST_STREAM in response to a RST_STREAM frame"
			switch v := s.On(RecvReset).Verdict; v {
			case Allowed, Ignored:
			default:
				t.Errorf("%v: RST_STREAM is %v", s, v)
			}
			if after := s.On(RecvReset).Next; after.On(SendReset).Verdict != Ignored {
				t.Errorf("%v: RST_STREAM may be answered with RST_STREAM", s)
			}
			// §6.6: a promised stream must be idle.
			if v := s.On(RecvPushPromise).Verdict; v != ConnProtocolError {
				t.Errorf("%v: promising it again is %v", s, v)
			}
		}
		// An endpoint that may send DATA may send END_STREAM, and the other way round.
		for _, pair := range [][2]Event{{SendData, SendEndStream}, {RecvData, RecvEndStream}} {
			if a, b := s.On(pair[0]).Verdict, s.On(pair[1]).Verdict; a != b {
				t.Errorf("%v: %v is %v, %v is %v", s, pair[0], a, pair[1], b)
			}
		}
		if s.CanSend() != (s.On(SendData).Verdict == Allowed) {
			t.Errorf("%v: CanSend is %v", s, s.CanSend())
		}
		if s.CanReceive() != (s.On(RecvData).Verdict == Allowed) {
			t.Errorf("%v: CanReceive is %v", s, s.CanReceive())
		}
		if !s.Closed() && s.On(SendReset).Verdict == Ignored {
			t.Errorf("%v: a reset would be lost", s)
		}
	}
}

func TestStateGroups(t *testing.T) {
	closed := map[State]bool{ClosedEnd: true, ClosedResetLocal: true, ClosedResetRemote: true}
	for _, s := range append(states(), 0) {
		if s.Closed() != closed[s] {
			t.Errorf("%v: Closed is %v", s, s.Closed())
		}
	}
}

// walk applies events from idle on and returns the state and the last verdict. It stops at the
// first verdict that is not Allowed.
func walk(es ...Event) (State, Verdict) {
	s, v := Idle, Allowed
	for _, e := range es {
		r := s.On(e)
		if s, v = r.Next, r.Verdict; v != Allowed {
			break
		}
	}
	return s, v
}

func TestWalks(t *testing.T) {
	request := []Event{RecvHeaders, RecvEndStream}
	answered := []Event{RecvHeaders, RecvEndStream, SendHeaders, SendData, SendEndStream}
	for _, test := range []struct {
		name    string
		events  []Event
		state   State
		verdict Verdict
	}{
		{"request without content", request, HalfClosedRemote, Allowed},
		{"request and response", answered, ClosedEnd, Allowed},
		{
			"our request",
			[]Event{SendHeaders, SendData, SendEndStream, RecvHeaders, RecvData, RecvHeaders, RecvEndStream},
			ClosedEnd, Allowed,
		},
		{
			"response before the request ends",
			[]Event{RecvHeaders, SendHeaders, SendEndStream, RecvData, RecvEndStream},
			ClosedEnd, Allowed,
		},
		{
			"pushed, by us",
			[]Event{SendPushPromise, RecvWindowUpdate, SendHeaders, SendData, SendEndStream},
			ClosedEnd, Allowed,
		},
		{"pushed, by the peer", []Event{RecvPushPromise, SendWindowUpdate, RecvHeaders, RecvEndStream}, ClosedEnd, Allowed},
		{"push refused", []Event{RecvPushPromise, SendReset}, ClosedResetLocal, Allowed},
		{"push taken back", []Event{RecvPushPromise, RecvReset}, ClosedResetRemote, Allowed},
		{"DATA on a pushed stream before HEADERS", []Event{SendPushPromise, SendData}, ReservedLocal, Misuse},

		// h2spec http2/5.1.
		{"5.1/1", []Event{RecvData}, Idle, ConnProtocolError},
		{"5.1/2", []Event{RecvReset}, Idle, ConnProtocolError},
		{"5.1/3", []Event{RecvWindowUpdate}, Idle, ConnProtocolError},
		{"5.1/5", append(request[:2:2], RecvData), ClosedResetLocal, StreamClosedError},
		{"5.1/6", append(request[:2:2], RecvHeaders), ClosedResetLocal, StreamClosedError},
		{"5.1/8", []Event{RecvHeaders, RecvReset, RecvData}, ClosedResetLocal, StreamClosedError},
		{"5.1/9", []Event{RecvHeaders, RecvReset, RecvHeaders}, ClosedResetLocal, StreamClosedError},
		{"5.1/11", append(answered[:5:5], RecvData), ClosedEnd, ConnStreamClosed},
		{"5.1/12", append(answered[:5:5], RecvHeaders), ClosedEnd, ConnStreamClosed},

		// Frames that were in flight when the stream closed.
		{"WINDOW_UPDATE after the end", append(answered[:5:5], RecvWindowUpdate), ClosedEnd, Ignored},
		{"RST_STREAM after the end", append(answered[:5:5], RecvReset), ClosedEnd, Ignored},
		{
			"WINDOW_UPDATE after our END_STREAM",
			[]Event{SendHeaders, SendEndStream, RecvWindowUpdate},
			HalfClosedLocal, Ignored,
		},
		{"DATA after our reset", []Event{RecvHeaders, SendReset, RecvData}, ClosedResetLocal, Ignored},
		{"trailers after our reset", []Event{RecvHeaders, SendReset, RecvHeaders}, ClosedResetLocal, Ignored},
		{"both reset", []Event{RecvHeaders, SendReset, RecvReset}, ClosedResetLocal, Ignored},
		{"PUSH_PROMISE after our reset", []Event{SendHeaders, SendReset, RecvPromising}, ClosedResetLocal, Allowed},
		{
			"PUSH_PROMISE after the peer's END_STREAM", append(request[:2:2], RecvPromising), HalfClosedRemote,
			ConnProtocolError,
		},
	} {
		if s, v := walk(test.events...); s != test.state || v != test.verdict {
			t.Errorf("%s: %v, %v; want %v, %v", test.name, s, v, test.state, test.verdict)
		}
	}
}

// A peer that sends after its own RST_STREAM gets one RST_STREAM, and not one for each frame.
func TestOneAnswerToFramesAfterReset(t *testing.T) {
	s, _ := walk(RecvHeaders, RecvReset)
	answers := 0
	for range 100 {
		r := s.On(RecvData)
		if r.Verdict != Ignored {
			answers++
		}
		s = r.Next
	}
	if answers != 1 {
		t.Errorf("%d answers, want 1", answers)
	}
}

func TestVerdictErr(t *testing.T) {
	for _, v := range []Verdict{Allowed, Ignored} {
		if err := v.Err(1, RecvData, Open); err != nil {
			t.Errorf("%v: %v, want nil", v, err)
		}
	}

	err := StreamClosedError.Err(5, RecvData, HalfClosedRemote)
	var se *frame.StreamError
	if !errors.As(err, &se) || se.StreamID != 5 || !errors.Is(err, frame.StreamClosed) {
		t.Errorf("stream error: %#v", err)
	}
	const text = "http2: stream 5 error STREAM_CLOSED: recv DATA in state half-closed (remote) (RFC 9113 §5.1)"
	if err.Error() != text {
		t.Errorf("stream error reads %q, want %q", err, text)
	}

	for v, code := range map[Verdict]frame.Code{
		ConnProtocolError: frame.ProtocolError,
		ConnStreamClosed:  frame.StreamClosed,
	} {
		err := v.Err(5, RecvPromising, ClosedEnd)
		var ce *frame.ConnError
		if !errors.As(err, &ce) || ce.Code != code || ce.Section != "RFC 9113 §6.6" {
			t.Errorf("%v: %#v", v, err)
		}
	}

	err = Misuse.Err(5, SendData, HalfClosedLocal)
	var me *MisuseError
	if !errors.As(err, &me) || *me != (MisuseError{5, SendData, HalfClosedLocal}) {
		t.Errorf("misuse: %#v", err)
	}
	if want := "stream 5: cannot send DATA in state half-closed (local)"; err.Error() != want {
		t.Errorf("misuse reads %q, want %q", err, want)
	}
	mustPanic(t, "the zero Verdict", func() { _ = Verdict(0).Err(1, RecvData, Open) })
}

func TestNames(t *testing.T) {
	names := map[string]bool{}
	add := func(s string) {
		t.Helper()
		if s == "" || names[s] {
			t.Errorf("name %q is empty or used twice", s)
		}
		names[s] = true
	}
	for s := State(0); s <= numStates; s++ {
		add(s.String())
	}
	for e := Event(0); e <= numEvents; e++ {
		add(e.String())
	}
	for v := Verdict(0); v <= numVerdicts; v++ {
		add(v.String())
	}
}

func TestOnAllocations(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		s := Idle
		for _, e := range [...]Event{RecvHeaders, RecvData, RecvEndStream, SendHeaders, SendEndStream, RecvReset} {
			r := s.On(e)
			if r.Verdict.Err(1, e, s) != nil {
				panic("BUG: unexpected error")
			}
			s = r.Next
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if recover() == nil {
			t.Errorf("%s did not panic", what)
		}
	}()
	f()
}
