package goroutine

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"testing"
)

func TestRestoreLabels(t *testing.T) {
	ctx := pprof.WithLabels(t.Context(), pprof.Labels("of", "the caller"))
	pprof.Do(ctx, pprof.Labels(), func(context.Context) {
		before := CurrentLabels()
		if before == (Labels{}) {
			t.Fatal("labels that were set are not seen")
		}
		pprof.SetGoroutineLabels(pprof.WithLabels(ctx, pprof.Labels("of", "the callee")))
		if CurrentLabels() == before {
			t.Fatal("other labels are taken for the same")
		}
		Restore(before)
		if CurrentLabels() != before {
			t.Error("the labels are not those of before")
		}
	})
}

func TestRestorePanicOnFault(t *testing.T) {
	debug.SetPanicOnFault(true)
	Restore(CurrentLabels())
	if debug.SetPanicOnFault(false) {
		t.Error("a fault still panics")
	}
}

func TestLocked(t *testing.T) {
	for name, locked := range map[string]func() bool{"as it comes": Locked, "by the stack trace": lockedByTrace} {
		if locked() {
			t.Errorf("%s: locked without LockOSThread", name)
		}
		runtime.LockOSThread()
		if !locked() {
			t.Errorf("%s: not locked after LockOSThread", name)
		}
		runtime.LockOSThread()
		runtime.UnlockOSThread()
		if !locked() {
			t.Errorf("%s: not locked after the first of two UnlockOSThread", name)
		}
		runtime.UnlockOSThread()
		if locked() {
			t.Errorf("%s: locked after UnlockOSThread", name)
		}
	}
}

// Many goroutines that lock themselves, wait and move between threads see the same both ways.
func TestLockedOfMany(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			for j := range 50 {
				if lock := (i+j)%3 == 0; lock {
					runtime.LockOSThread()
				}
				runtime.Gosched()
				if got, want := Locked(), lockedByTrace(); got != want {
					t.Errorf("locked: %v, and the stack trace says %v", got, want)
				}
				runtime.UnlockOSThread() // which does nothing if it is not locked
			}
		})
	}
	wg.Wait()
}

// On the architectures that are used most, the quick way is there with the versions of Go that this
// is tested with.
func TestLockedIsQuick(t *testing.T) {
	if quick := runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64"; LockedIsQuick != quick {
		t.Errorf("on %s it is quick: %v", runtime.GOARCH, LockedIsQuick)
	}
}

func BenchmarkRestore(b *testing.B) {
	l := CurrentLabels()
	for b.Loop() {
		Restore(l)
	}
}

func BenchmarkLocked(b *testing.B) {
	for name, locked := range map[string]func() bool{"as it comes": Locked, "by the stack trace": lockedByTrace} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if locked() {
					b.Fatal("locked")
				}
			}
		})
	}
}
