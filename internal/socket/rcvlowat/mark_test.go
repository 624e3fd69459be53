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
		m := &Mark{octets: 1, timer: new(stallTimer), set: func(n int) { set = append(set, n) }}
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
		step("one read that has brought much", much, minBulkRead)
		step("two", much, minBulkRead, maxMark)
		step("it goes on", much, minBulkRead)
		time.Sleep(tickInterval + tickInterval/2)
		step("the reader has called lately", much, minBulkRead)
		step("the end is near", minWait+5, minBulkRead, minWait+5)
		step("it is not worth it any more", minWait-1, minBulkRead, 1)
		step("another body", much, minBulkRead, maxMark)
		step("it comes slowly", much, minBulkRead-1, 1)
		step("quickly again", much, minBulkRead)
		step("and again", much, minBulkRead, maxMark)
		time.Sleep(2*tickInterval + 1)
		synctest.Wait()
		step("the peer has stalled", much, minBulkRead, 1)
		for range minCooldown {
			step("it may stall again", much, minBulkRead)
		}
		step("one read", much, minBulkRead)
		step("two reads", much, minBulkRead, maxMark)
		time.Sleep(2*tickInterval + 1)
		step("it has stalled", 0, 0, 1)
		time.Sleep(time.Hour)
		m.timer.mu.Lock()
		defer m.timer.mu.Unlock()
		if len(m.timer.marks) > 0 {
			t.Error("the timer ticks for a mark that is not set")
		}
	})
}
