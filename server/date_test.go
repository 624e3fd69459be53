package server

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestDateClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c dateClock
		check := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := c.now(); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		time.Sleep(400 * time.Millisecond)
		check("Sat, 01 Jan 2000 00:00:00 GMT")
		time.Sleep(599 * time.Millisecond)
		check("Sat, 01 Jan 2000 00:00:00 GMT")
		time.Sleep(time.Millisecond)
		check("Sat, 01 Jan 2000 00:00:01 GMT")
		time.Sleep(time.Hour)
		check("Sat, 01 Jan 2000 01:00:01 GMT")
		if n := testing.AllocsPerRun(1000, func() { c.now() }); n > 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
