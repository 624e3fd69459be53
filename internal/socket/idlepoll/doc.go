// Package idlepoll watches sockets that no goroutine reads: when something arrives on one, it calls
// the function that will read. A watched socket costs a map entry here and a registration in the
// kernel; a goroutine that waits in Read costs 2.5 KiB at least.
//
//  1. New makes a Watch, the key of a Waiter in the map. The first one makes an instance of epoll
//     and the goroutine that waits for its events; the last one to end closes both.
//  2. Watch.Arm registers the socket with the instance, for one event.
//  3. When the socket becomes readable, the Watch is taken out of the map, and Waiter.Wake is
//     called in a goroutine of its own. Wake calls Watch.Remove, so that the socket can be
//     registered again.
//
// The instance of epoll is an os.File, so the runtime's poller watches it as it watches a socket:
// one goroutine waits for all watched sockets, and no thread is blocked.
//
// Each Waiter is woken once, if it is not cancelled, and nothing is left behind:
//
//   - The registration is level-triggered, so what arrived before Arm counts as well.
//   - It is for one event (EPOLLONESHOT). An event, a sweep and Cancel may come at the same time:
//     the one that finds the Watch in the map takes it out, and the others do nothing.
//   - The event carries the Watch, a number that is never used again, and not the descriptor, which
//     may belong to another connection by the time that the event is handled. An event whose Watch
//     is not in the map is ignored.
//   - Descriptors are used only within Control and Read of syscall.RawConn, during which neither
//     the socket nor the instance is closed.
//   - Between New and Arm the map is not empty, so the instance stays open. If Cancel comes between
//     the two, Arm fails, or registers a Watch that is not in the map. That does no harm: the
//     socket is about to be closed.
//   - A socket that is closed on our side leaves the instance without an event, so each Waiter is
//     asked from time to time whether that has happened (sweep).
//   - The runtime's poller is edge-triggered, and RawConn.Read forgets an edge that came before its
//     call. No event is lost by that: each call asks the instance first, and waits only if that has
//     no event.
//
// It needs Linux. On other systems, and in a bubble of testing/synctest, where the goroutine would
// belong to the bubble, New fails.
//
// All functions may be called from any goroutine.
package idlepoll

import (
	"errors"

	"github.com/sluice-go/sluice/internal/socket"
)

// A Watch waits for one event on one socket. The zero Watch is none.
type Watch uint64

// A Waiter reads from a socket again once its Watch has seen an event: octets, the end, an error,
// or, within five seconds, that the socket was closed on our side.
type Waiter interface {
	// Wake is called at most once for each Watch, in a goroutine of its own, with what New has
	// returned.
	Wake(Watch)

	// Closed reports whether the socket was closed on our side, for which the kernel has no event.
	// It is called every one to five seconds, must return at once, and must not call this package.
	Closed() bool
}

var (
	errEnded  = errors.New("idlepoll: the watch has ended")
	errBubble = errors.New("idlepoll: not in a bubble of testing/synctest")
)

// New returns a Watch that wakes w for an event. It sees none before Arm.
func New(w Waiter) (Watch, error) { return newWatch(w) }

// Arm registers s: the Waiter is woken as soon as s has something to read, which may be before Arm
// returns. If Arm fails, the Waiter is not woken by it, and the caller calls Cancel.
func (id Watch) Arm(s *socket.Socket) error { return id.arm(s) }

// Cancel ends a Watch whose Waiter was not woken, so that it will not be. The socket stays
// registered, so Cancel is for a socket that is about to be closed, or that Arm has refused.
func (id Watch) Cancel() { id.cancel() }

// Remove takes the registration of s out of the instance, once the Waiter was woken. Until then
// another Watch cannot be armed for s.
func (id Watch) Remove(s *socket.Socket) { id.remove(s) }
