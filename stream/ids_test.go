package stream

import (
	"errors"
	"testing"

	"github.com/sluice-go/sluice/frame"
)

func TestNextIsOddForClientsEvenForServers(t *testing.T) {
	for _, test := range []struct {
		client bool
		want   [3]uint32
	}{
		{true, [3]uint32{1, 3, 5}},
		{false, [3]uint32{2, 4, 6}},
	} {
		ids := NewIDs(test.client)
		for _, want := range test.want {
			if !ids.Idle(want) {
				t.Errorf("client %v: %d is not idle before it is used", test.client, want)
			}
			id, ok := ids.Next()
			if id != want || !ok || ids.LastLocal() != want {
				t.Errorf("client %v: Next = %d, %v, LastLocal %d; want %d", test.client, id, ok, ids.LastLocal(), want)
			}
			if ids.Idle(want) || !ids.IsLocal(want) || ids.IsLocal(want+1) {
				t.Errorf("client %v: idle or ownership of %d is wrong", test.client, want)
			}
		}
		if ids.LastRemote() != 0 {
			t.Errorf("LastRemote = %d, want 0", ids.LastRemote())
		}
	}
}

func TestStreamZeroIsNoStream(t *testing.T) {
	for _, client := range []bool{true, false} {
		ids := NewIDs(client)
		if ids.IsLocal(0) || ids.Idle(0) || ids.Accept(0) == nil {
			t.Errorf("client %v: stream 0 is taken for a stream", client)
		}
	}
}

func TestAccept(t *testing.T) {
	type step struct {
		id uint32
		ok bool
	}
	for _, test := range []struct {
		name   string
		client bool // whether we are the client
		steps  []step
	}{
		{"rising", false, []step{{1, true}, {3, true}, {7, true}}},
		{"the same again", false, []step{{5, true}, {5, false}}},
		{"lower, h2spec 5.1.1/2", false, []step{{5, true}, {3, false}}},
		{"even from a client, h2spec 5.1.1/1", false, []step{{2, false}}},
		{"promised", true, []step{{2, true}, {6, true}, {4, false}}},
		{"odd from a server", true, []step{{1, false}, {2, true}}},
		{"the last one", false, []step{{1<<31 - 1, true}, {1<<31 - 1, false}}},
		{"out of range", true, []step{{1 << 31, false}}},
	} {
		ids := NewIDs(test.client)
		for _, s := range test.steps {
			last := ids.LastRemote()
			err := ids.Accept(s.id)
			if (err == nil) != s.ok {
				t.Errorf("%s: Accept(%d) = %v", test.name, s.id, err)
			}
			if err == nil {
				last = s.id
			} else {
				var ce *frame.ConnError
				if !errors.As(err, &ce) || ce.Code != frame.ProtocolError || ce.Section != "RFC 9113 §5.1.1" {
					t.Errorf("%s: Accept(%d) = %#v", test.name, s.id, err)
				}
			}
			if ids.LastRemote() != last {
				t.Errorf("%s: LastRemote = %d after %d, want %d", test.name, ids.LastRemote(), s.id, last)
			}
		}
	}
}

// §5.1.1: a stream that is opened closes all lower idle ones of the same side.
func TestSkippedStreamsAreNotIdle(t *testing.T) {
	ids := NewIDs(false)
	if err := ids.Accept(9); err != nil {
		t.Fatal(err)
	}
	for id := uint32(1); id <= 11; id++ {
		want := id%2 == 0 || id == 11
		if ids.Idle(id) != want {
			t.Errorf("Idle(%d) = %v, want %v", id, ids.Idle(id), want)
		}
	}
}

func TestExhaustion(t *testing.T) {
	for _, test := range []struct {
		client bool
		last   uint32
	}{
		{true, 1<<31 - 1},
		{false, 1<<31 - 2},
	} {
		ids := NewIDs(test.client)
		ids.next = test.last // as after all lower ones
		if ids.Exhausted() {
			t.Error("exhausted with one left")
		}
		if id, ok := ids.Next(); id != test.last || !ok {
			t.Errorf("Next = %d, %v; want %d", id, ok, test.last)
		}
		for range 3 {
			if id, ok := ids.Next(); ok {
				t.Errorf("Next = %d after the last", id)
			}
		}
		if !ids.Exhausted() || ids.LastLocal() != test.last {
			t.Errorf("Exhausted %v, LastLocal %d", ids.Exhausted(), ids.LastLocal())
		}
	}
}
