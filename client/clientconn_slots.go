package client

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/sluice-go/sluice/conn/core"
)

// reserveSlot takes a slot, which the caller must use or give back with unreserveSlot. While the
// server has not said how many streams it allows, no more than initialMax are taken. It calls no
// hook. The error is core.ErrNoStream or core.ErrNoMoreStreams.
func (cc *ClientConn) reserveSlot(initialMax int) error {
	if cc.retired.Load() {
		return core.ErrNoMoreStreams
	}
	if !cc.limit.limited {
		return cc.c.ReserveFirst(initialMax)
	}
	// A failing call must not be seen to have taken the last request for a moment: a caller that
	// waits would not be woken when it is given back.
	cc.limit.mu.Lock()
	defer cc.limit.mu.Unlock()
	if cc.limit.left.Load() <= 0 {
		return core.ErrNoStream // a reservation may still be given back
	}
	err := cc.c.ReserveFirst(initialMax)
	if err == nil {
		cc.limit.left.Add(-1)
	}
	return err
}

// unreserveSlot gives back what reserveSlot has taken.
func (cc *ClientConn) unreserveSlot() {
	if cc.limit.limited {
		cc.limit.left.Add(1)
	}
	cc.c.Unreserve()
}

// slotUsed is called after an attempt to open a stream in a reserved slot. With an error the slot
// was lost, and the request counts no more.
func (cc *ClientConn) slotUsed(err error) {
	switch {
	case !cc.limit.limited:
	case err != nil:
		cc.limit.left.Add(1)
		cc.slotsChanged() // a caller that waits may have it
	case cc.limit.unopened.Add(-1) == 0:
		cc.retire()
	}
}

// slots returns how many slots are taken and free, as conn.Client.QuotaFirst, with none free where
// no request is taken.
func (cc *ClientConn) slots(initialMax int) (taken, free int) {
	taken, free = cc.c.QuotaFirst(initialMax)
	if cc.retired.Load() || cc.limit.limited && cc.limit.left.Load() <= 0 {
		free = 0
	}
	return taken, free
}

// allowsNoStreams reports whether the server has said that it allows no streams, and none is open:
// requests must not wait for such a connection.
func (cc *ClientConn) allowsNoStreams() bool {
	if !cc.settingsSeen.Load() {
		return false
	}
	taken, _ := cc.c.Quota()
	s, _ := cc.c.KnownSettings()
	return taken == 0 && s.MaxConcurrentStreams == 0
}

// unusable reports whether no request is taken any more.
func (cc *ClientConn) unusable() bool { return cc.retired.Load() || cc.c.Err() != nil }

// Reserve takes a stream for one call of RoundTrip, or of Release if there will be none. It fails
// when no stream is available.
func (cc *ClientConn) Reserve() error {
	if err := cc.reserveSlot(initialMaxStreams); err != nil {
		if state := cc.c.Err(); state != nil {
			return state
		}
		return err
	}
	cc.mu.Lock()
	cc.mu.reserved++
	cc.mu.Unlock()
	return nil
}

// Release gives back what Reserve has taken. It does nothing where nothing is reserved.
func (cc *ClientConn) Release() {
	if cc.takeReserved() {
		cc.unreserveSlot()
	}
}

// takeReserved takes over a stream that Reserve has taken, and reports whether there was one.
func (cc *ClientConn) takeReserved() bool {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.mu.reserved == 0 {
		return false
	}
	cc.mu.reserved--
	return true
}

// awaitSlot takes a slot, one that Reserve has taken if there is any, and waits while there is
// none.
func (cc *ClientConn) awaitSlot(req *http.Request) error {
	if cc.takeReserved() {
		return nil
	}
	for {
		free := make(chan struct{})
		cc.mu.Lock()
		cc.mu.waiters = append(cc.mu.waiters, free)
		cc.mu.Unlock()
		err := cc.reserveSlot(initialMaxStreams)
		if !errors.Is(err, core.ErrNoStream) {
			cc.stopWaiting(free)
			if err != nil {
				if cause := cc.c.Err(); cause != nil {
					err = cause
				}
				return &Error{Addr: cc.addr, Unprocessed: true, Err: err}
			}
			return nil
		}
		select {
		case <-free:
		case <-req.Context().Done():
			cc.stopWaiting(free)
			return req.Context().Err()
		case <-req.Cancel: //nolint:staticcheck // deprecated, and part of the contract
			cc.stopWaiting(free)
			return errRequestCanceled
		}
	}
}

// stopWaiting takes ch out of the waiters.
func (cc *ClientConn) stopWaiting(ch chan struct{}) {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	for i, w := range cc.mu.waiters {
		if w == ch {
			cc.mu.waiters = append(cc.mu.waiters[:i], cc.mu.waiters[i+1:]...)
			return
		}
	}
}

// slotsChanged is called by conn when a stream may be opened, or none can be any more.
func (cc *ClientConn) slotsChanged() {
	cc.mu.Lock()
	for _, ch := range cc.mu.waiters {
		close(ch)
	}
	cc.mu.waiters = nil
	cc.mu.Unlock()
	if cc.retired.Load() {
		cc.closeIfIdle()
	}
	if f := cc.poolHook.Load(); f != nil {
		(*f)(cc)
	}
	if f := cc.stateHook.Load(); f != nil {
		(*f)(cc)
	}
}

// requestLimit counts the requests that a connection may still take.
type requestLimit struct {
	limited  bool         // else the connection takes any number of requests
	mu       sync.Mutex   // held while left is about to become less
	left     atomic.Int64 // requests that may still reserve a stream
	unopened atomic.Int64 // requests that may still open a stream
}
