package flow

import "testing"

func TestRecvWindowBatches(t *testing.T) {
	w := NewRecvWindow(1000)
	for range 4 {
		if !w.Receive(100) {
			t.Fatal("the peer has credit")
		}
		if inc := w.Release(100); inc != 0 {
			t.Fatalf("Release returned %d below half of the size", inc)
		}
	}
	if got := w.Unsent(); got != 400 {
		t.Errorf("Unsent = %d, want 400", got)
	}
	w.Receive(100)
	if inc := w.Release(100); inc != 500 {
		t.Errorf("Release = %d at half of the size, want all 500", inc)
	}
	if w.Available() != 1000 || w.Unsent() != 0 || w.Held() != 0 {
		t.Errorf("available %d, unsent %d, held %d; want 1000, 0, 0", w.Available(), w.Unsent(), w.Held())
	}
}

func TestRecvWindowOverrun(t *testing.T) {
	w := NewRecvWindow(10)
	if !w.Receive(10) {
		t.Fatal("the whole window may be used")
	}
	if w.Receive(1) {
		t.Error("11 octets went into a window of 10")
	}
	if !w.Receive(0) {
		t.Error("an empty frame was refused")
	}
	if w.Receive(1<<32 - 1) {
		t.Error("2^32-1 octets went into a window of 10")
	}
	if w.Held() != 10 {
		t.Errorf("Held = %d after refused frames, want 10", w.Held())
	}
	mustPanic(t, "releasing more than was received", func() { w.Release(11) })
}

func TestRecvWindowSmall(t *testing.T) {
	var zero RecvWindow
	if zero.Receive(1) || !zero.Receive(0) || zero.Release(0) != 0 {
		t.Error("a window of 0 takes empty frames only")
	}
	one := NewRecvWindow(1)
	for range 3 {
		if !one.Receive(1) {
			t.Fatal("a window of 1 must open again")
		}
		if inc := one.Release(1); inc != 1 {
			t.Fatalf("Release = %d, want 1", inc)
		}
	}
	mustPanic(t, "a size of 2^31", func() { NewRecvWindow(1 << 31) })
}

func TestRecvWindowFlush(t *testing.T) {
	w := NewRecvWindow(1000)
	w.Receive(10)
	if inc := w.Flush(); inc != 0 {
		t.Errorf("Flush = %d while all is held, want 0", inc)
	}
	w.Release(10)
	if inc := w.Flush(); inc != 10 {
		t.Errorf("Flush = %d, want 10", inc)
	}
	if inc := w.Flush(); inc != 0 {
		t.Errorf("second Flush = %d, want 0", inc)
	}
}

// A reader that holds most of a shared window and does not read must not stop the others
// (golang/go#54330 is what happens otherwise).
func TestRecvWindowSharedDoesNotStarve(t *testing.T) {
	w := NewRecvWindow(1000)
	if !w.Receive(990) { // a handler that never reads
		t.Fatal("the peer has credit")
	}
	for moved := 0; moved < 10_000; {
		n := uint32(w.Available())
		if n == 0 {
			t.Fatalf("stuck after %d octets", moved)
		}
		w.Receive(n)
		w.ReleaseShared(n)
		moved += int(n)
	}
}

func TestRecvWindowResize(t *testing.T) {
	w := NewRecvWindow(65535)
	if inc := w.Resize(1 << 20); inc != 1<<20-65535 {
		t.Errorf("growing by %d announced %d", 1<<20-65535, inc)
	}
	w.Receive(1 << 20)
	w.Release(1000)
	if inc := w.Resize(1<<20 + 24); inc != 1024 {
		t.Errorf("growing announced %d, want the 24 and the 1000 that were free", inc)
	}

	w = NewRecvWindow(1000)
	if inc := w.Resize(400); inc != 0 {
		t.Errorf("shrinking announced %d", inc)
	}
	if !w.Receive(1000) {
		t.Fatal("credit that was given cannot be called back")
	}
	if inc := w.Release(600); inc != 0 {
		t.Errorf("Release = %d while the window shrinks, want 0", inc)
	}
	if got := w.Unsent(); got != 0 {
		t.Errorf("Unsent = %d while the window shrinks, want 0", got)
	}
	if inc := w.Release(400); inc != 400 {
		t.Errorf("Release = %d, want the new size", inc)
	}
	if inc := w.Resize(MaxWindow); inc != MaxWindow-400 || w.Available() != MaxWindow {
		t.Errorf("Resize to 2^31-1 = %d, available %d", inc, w.Available())
	}
	if inc := w.Resize(0); inc != 0 {
		t.Errorf("Resize to 0 = %d", inc)
	}
	if !w.Receive(MaxWindow) || w.Release(MaxWindow) != 0 {
		t.Error("a window that shrank to 0 must not open again")
	}
}

func TestRecvWindowShift(t *testing.T) {
	w := NewRecvWindow(65535)
	w.Receive(60000)
	if inc, ok := w.Shift(16384 - 65535); !ok || inc != 0 {
		t.Fatalf("a smaller initial size: %d, %v", inc, ok)
	}
	if w.Size() != 16384 || w.Available() != 5535-49151 {
		t.Fatalf("size %d, available %d", w.Size(), w.Available())
	}
	if w.Receive(1) {
		t.Error("the peer sent on a window below 0")
	}
	if !w.Receive(0) {
		t.Error("an empty frame was refused on a window below 0")
	}
	// Nothing is held any more: the peer must have its 16384 again.
	if inc := w.Release(60000); inc != 60000 || w.Available() != 16384 {
		t.Errorf("increment %d, available %d; want 60000, 16384", inc, w.Available())
	}
	for _, delta := range []int32{-16385, MaxWindow - 16383, MaxWindow} {
		if _, ok := w.Shift(delta); ok || w.Size() != 16384 {
			t.Errorf("a size of %d was accepted", 16384+int64(delta))
		}
	}
	if _, ok := w.Shift(MaxWindow - 16384); !ok || w.Size() != MaxWindow {
		t.Error("a size of 2^31-1 was refused")
	}
}

// Credit that was kept below half of the old size is due when the size becomes smaller: the peer
// may have none, and nothing is held that could be released.
func TestRecvWindowShiftSendsWhatIsDue(t *testing.T) {
	w := NewRecvWindow(65535)
	w.Receive(30000)
	if inc := w.Release(30000); inc != 0 {
		t.Fatalf("Release = %d below half", inc)
	}
	inc, ok := w.Shift(16384 - 65535)
	if !ok || inc != 30000 || w.Available() != 16384 {
		t.Errorf("Shift = %d, %v, available %d; want 30000, true, 16384", inc, ok, w.Available())
	}
}

// The peer would answer FLOW_CONTROL_ERROR if its credit rose above 2^31-1.
func TestRecvWindowShiftAboveMax(t *testing.T) {
	w := NewRecvWindow(MaxWindow)
	w.Resize(0) // all of it is still with the peer
	if _, ok := w.Shift(1); ok || w.Available() != MaxWindow {
		t.Error("credit of 2^31 was accepted")
	}
	w.Receive(MaxWindow)
	if _, ok := w.Shift(1); ok {
		t.Error("credit and held octets of 2^31 were accepted")
	}
	w.Release(1)
	if inc, ok := w.Shift(1); !ok || inc != 0 || w.Available() != 1 {
		t.Errorf("Shift = %d, %v, available %d", inc, ok, w.Available())
	}
}

func TestNoAllocations(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		var s SendWindow
		r := NewRecvWindow(65535)
		s.Add(65535)
		s.Take(16384)
		r.Receive(16384)
		s.Add(r.Release(16384))
		s.Shift(100)
		r.Shift(100)
		s.Add(r.Flush())
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
