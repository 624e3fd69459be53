package goroutine

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
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
	if Locked() {
		t.Error("locked without LockOSThread")
	}
	runtime.LockOSThread()
	if !Locked() {
		t.Error("not locked after LockOSThread")
	}
	runtime.LockOSThread()
	runtime.UnlockOSThread()
	if !Locked() {
		t.Error("not locked after the first of two UnlockOSThread")
	}
	runtime.UnlockOSThread()
	if Locked() {
		t.Error("locked after UnlockOSThread")
	}
}

func BenchmarkRestore(b *testing.B) {
	l := CurrentLabels()
	for b.Loop() {
		Restore(l)
	}
}

func BenchmarkLocked(b *testing.B) {
	for b.Loop() {
		if Locked() {
			b.Fatal("locked")
		}
	}
}
