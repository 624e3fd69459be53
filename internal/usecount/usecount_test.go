package usecount

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestCount(t *testing.T) {
	t.Run("the last to leave", func(t *testing.T) {
		var c Count
		c.Start(1)
		if !c.Enter() || c.Closed() {
			t.Fatal("closed from the beginning")
		}
		c.Add()
		if c.CloseAndLeave() {
			t.Error("CloseAndLeave: last, with two users left")
		}
		if c.Enter() || !c.Closed() {
			t.Error("Enter after the close")
		}
		if c.Leave() {
			t.Error("Leave: last, with one user left")
		}
		if !c.Leave() {
			t.Error("Leave: not last, with no user left")
		}
	})
	t.Run("closed by the last", func(t *testing.T) {
		var c Count
		c.Start(1)
		if !c.CloseAndLeave() {
			t.Error("CloseAndLeave: not last")
		}
	})
	t.Run("closed from outside", func(t *testing.T) {
		var c Count
		c.Enter()
		if c.CloseAndEnter() {
			t.Error("CloseAndEnter: alone beside a user")
		}
		if c.Leave() || !c.Leave() {
			t.Error("Leave: not the second one is the last")
		}
		var empty Count
		if !empty.CloseAndEnter() || !empty.Leave() {
			t.Error("CloseAndEnter: not alone without a user")
		}
	})
	t.Run("kept after the close", func(t *testing.T) {
		var c Count
		c.Start(1)
		c.Enter()
		c.Close()
		if c.Leave() || c.Enter() {
			t.Error("the user that stays is gone")
		}
	})
}

// However many goroutines enter and leave, one is the last, and after all others.
func TestCountConcurrently(t *testing.T) {
	for range 1000 {
		var c Count
		c.Start(1)
		var inside, lasts atomic.Int32
		left := func(last bool) {
			if last {
				lasts.Add(1)
				if n := inside.Load(); n != 0 {
					t.Errorf("%d users are left when the last has gone", n)
				}
			}
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if c.Enter() {
					inside.Add(1)
					inside.Add(-1)
					left(c.Leave())
				}
			})
		}
		left(c.CloseAndLeave())
		wg.Wait()
		if n := lasts.Load(); n != 1 {
			t.Fatalf("%d goroutines were the last", n)
		}
	}
}
