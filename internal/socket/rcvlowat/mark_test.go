package rcvlowat

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var set []int
		m := &Mark{at: 1, clock: new(clock), set: func(n int) { set = append(set, n) }}
		step := func(why string, octets, last int, want ...int) {
			t.Helper()
			m.Expect(octets, last)
			m.mu.Lock()
			defer m.mu.Unlock()
			if !slices.Equal(set, want) {
				t.Errorf("%s: the mark was set to %v, want %v", why, set, want)
			}
			set = nil
		}
		const much = 10 << 20
		step("nothing is known", 0, 0)
		step("one read that has brought much", much, Quick)
		step("two", much, Quick, Most)
		step("it goes on", much, Quick)
		time.Sleep(pause + pause/2)
		step("the reader had a turn lately", much, Quick)
		step("the end is near", From+5, Quick, From+5)
		step("it is not worth it any more", From-1, Quick, 1)
		step("another body", much, Quick, Most)
		step("it comes slowly", much, Quick-1, 1)
		step("quickly again", much, Quick)
		step("and again", much, Quick, Most)
		time.Sleep(2*pause + 1)
		synctest.Wait()
		step("the peer has paused", much, Quick, 1)
		for range calmReads {
			step("it may pause again", much, Quick)
		}
		step("one read", much, Quick)
		step("two reads", much, Quick, Most)
		time.Sleep(2*pause + 1)
		step("it has", 0, 0, 1)
		time.Sleep(time.Hour)
		m.clock.mu.Lock()
		defer m.clock.mu.Unlock()
		if len(m.clock.list) > 0 {
			t.Error("the clock ticks for a mark that is not set")
		}
	})
}
