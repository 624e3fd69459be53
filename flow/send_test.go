package flow

import "testing"

func TestSendWindowZeroValue(t *testing.T) {
	var w SendWindow
	if got := w.Available(); got != 0 {
		t.Errorf("Available = %d, want 0", got)
	}
	w.Take(0)
	mustPanic(t, "taking from an empty window", func() { w.Take(1) })
}

func TestSendWindowLimits(t *testing.T) {
	var w SendWindow
	if !w.Add(MaxWindow) {
		t.Fatal("a window of 2^31-1 is legal")
	}
	if w.Add(1) {
		t.Error("a window of 2^31 was accepted")
	}
	if w.Add(MaxWindow) {
		t.Error("two increments of 2^31-1 were accepted")
	}
	if w.Shift(1) {
		t.Error("a shift to 2^31 was accepted")
	}
	if got := w.Available(); got != MaxWindow {
		t.Errorf("Available = %d after refused changes, want 2^31-1", got)
	}
	w.Take(MaxWindow)
	mustPanic(t, "taking more than there is", func() { w.Take(1) })
	mustPanic(t, "taking a negative number", func() { w.Take(-1) })
}

// The example of RFC 9113 §6.9.2: 60 KB sent of 64 KB, then the size becomes 16 KB, and the window
// is -44 KB.
func TestSendWindowBelowZero(t *testing.T) {
	const kb = 1 << 10
	var w SendWindow
	w.Add(64 * kb)
	w.Take(60 * kb)
	if !w.Shift(16*kb - 64*kb) {
		t.Fatal("a shift below 0 was refused")
	}
	if got := w.Available(); got != -44*kb {
		t.Fatalf("Available = %d, want %d", got, -44*kb)
	}
	w.Take(0)
	mustPanic(t, "taking from a window below 0", func() { w.Take(1) })
	w.Add(44 * kb)
	mustPanic(t, "taking from a window of 0", func() { w.Take(1) })
	w.Add(1)
	w.Take(1)
}

func TestSendWindowLowest(t *testing.T) {
	var w SendWindow
	w.Add(MaxWindow)
	w.Take(MaxWindow)
	if !w.Shift(-MaxWindow) {
		t.Fatal("a change from 2^31-1 to 0 was refused")
	}
	if got := w.Available(); got != -MaxWindow {
		t.Errorf("Available = %d, want %d", got, -MaxWindow)
	}
	mustPanic(t, "a size below 0", func() { w.Shift(-1) })
	if !w.Add(MaxWindow) {
		t.Error("an increment of 2^31-1 on a negative window was refused")
	}
	if got := w.Available(); got != 0 {
		t.Errorf("Available = %d, want 0", got)
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
