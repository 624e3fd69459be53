package core

import "testing"

// wantAccounts checks that no credit is lost: what of the connection's window is not with the peer is free, or held
// back for DATA that nobody has read.
func wantAccounts(tb testing.TB, c *Conn) {
	tb.Helper()
	w := &c.recv
	if sum := int64(w.Available()) + int64(w.Unsent()) + int64(w.Held()); sum != int64(w.Size()) {
		tb.Errorf("connection window: %d available + %d unsent + %d held is not its size of %d",
			w.Available(), w.Unsent(), w.Held(), w.Size())
	}
	if int64(w.Held()) != c.owed {
		tb.Errorf("connection window: %d held, but %d are owed", w.Held(), c.owed)
	}
	if c.owed > c.unread {
		tb.Errorf("%d octets of credit are held back for %d that are unread", c.owed, c.unread)
	}
}
