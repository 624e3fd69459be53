// Package usecount counts the users of something that is closed once and must not be freed while it
// is in use.
package usecount

import "sync/atomic"

// Count is a number of users with a closing bit. The zero value is open and has no users. Whatever
// it counts the users of may be freed by the caller that is told that it was the last: Leave of the
// last user after Close, or Close itself where there is none.
//
// All methods may be called by any goroutine at the same time, except that only one may close it.
type Count struct{ n atomic.Int32 }

// closed is added to the number of users when the count is closed.
const closed = 1 << 30

// Start sets the number of users. It is called before other goroutines know of the count.
func (c *Count) Start(users int32) { c.n.Store(users) }

// Enter adds a user, and reports whether it has: a count that is closed takes no more.
func (c *Count) Enter() bool {
	for {
		n := c.n.Load()
		if n >= closed {
			return false
		}
		if c.n.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Add adds a user without a look at whether the count is closed. The caller is a user itself.
func (c *Count) Add() { c.n.Add(1) }

// Leave removes a user, and reports whether it was the last of a count that is closed.
func (c *Count) Leave() (last bool) { return c.n.Add(-1) == closed }

// Close closes the count, which keeps its users.
func (c *Count) Close() { c.n.Add(closed) }

// CloseAndEnter closes the count and adds the caller as a user. It reports whether there is no
// other.
func (c *Count) CloseAndEnter() (alone bool) { return c.n.Add(closed+1) == closed+1 }

// CloseAndLeave closes the count and removes the caller, which is one of the users. It reports
// whether the caller was the last.
func (c *Count) CloseAndLeave() (last bool) { return c.n.Add(closed-1) == closed }

// Closed reports whether the count is closed.
func (c *Count) Closed() bool { return c.n.Load() >= closed }
