package server

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestDateNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if got, want := dateNow(), "Sat, 01 Jan 2000 00:00:00 GMT"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		time.Sleep(999 * time.Millisecond)
		if got, want := dateNow(), "Sat, 01 Jan 2000 00:00:00 GMT"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		time.Sleep(time.Millisecond)
		if got, want := dateNow(), "Sat, 01 Jan 2000 00:00:01 GMT"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
	if n := testing.AllocsPerRun(1000, func() { dateNow() }); n > 0.1 {
		t.Errorf("%v allocations", n)
	}
}
