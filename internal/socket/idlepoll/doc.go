// Package idlepoll tells when something comes on a socket while no goroutine waits for it: for each
// socket a map entry here and a registration in the kernel, where a goroutine would take 2.5 KiB at
// least.
//
// One instance of epoll, made for the first vigil and closed with the last, watches the sockets
// beside the one of the runtime, and is watched by that in turn: its descriptor is an os.File, so a
// single goroutine waits for all vigils, and no thread. All functions may be called from any
// goroutine.
//
// Why a vigil wakes its sleeper once and never not at all, and leaves nothing behind:
//
//   - The registration is level-triggered, so what has come before Arm counts as well, and it is for one event.
//     Whoever finds the identifier in the map takes it out, and the others, End among them, find nothing.
//   - The kernel's event names the vigil, an identifier that is never used again, and not the
//     descriptor, which the next connection may have by the time that the event is looked at. Such
//     an event finds nothing in the map.
//   - Descriptors are used only below syscall.RawConn.Control, during which neither the socket nor the instance is
//     closed. A socket that is closed leaves the instance by itself.
//   - The instance cannot be closed between Begin and Arm, as the map is not empty. If End comes between the two, Arm
//     fails, or registers what nobody will be woken for; End is only for a caller that does not go
//     on with the socket (see there).
//   - A socket that its owner closes leaves the instance and is never heard of again, so each
//     sleeper is asked now and then (sweep).
//   - While the goroutine looks for events an edge may come: the runtime's poller forgets what came before the call of
//     RawConn.Read began, but each call asks the instance first, and waits only when that has nothing.
//
// Limitations: it needs Linux. On other systems, and in a bubble of testing/synctest, whose
// goroutines must be its own, Begin fails.
package idlepoll

import (
	"errors"

	"github.com/sluice-go/sluice/internal/socket"
)

// A Vigil is for one event on one socket. The zero Vigil is none.
type Vigil uint64

// A Sleeper is told when something has come: octets, the end, an error, or, within five seconds,
// that somebody has closed the socket on our side.
type Sleeper interface {
	// Wake is called at most once for each vigil, in a goroutine of its own, with what Begin has
	// returned.
	Wake(Vigil)

	// Closed reports whether the socket was closed on our side, of which the kernel tells nobody.
	// It is called every one to five seconds, must return at once, and must not call this package.
	Closed() bool
}

var (
	errOver   = errors.New("idlepoll: it is over")
	errBubble = errors.New("idlepoll: not in a bubble of testing/synctest")
)

// Begin begins a vigil for s, which is not woken before Arm.
func Begin(s Sleeper) (Vigil, error) { return begin(s) }

// Arm has the sleeper woken as soon as the socket has something to read, which may be before Arm
// returns. If it fails, s is not woken, unless End came between.
func (v Vigil) Arm(s *socket.Socket) error { return v.arm(s) }

// End ends a vigil whose sleeper was not woken: it will not be. It is for a socket that is being
// closed, or where Arm has failed, since it leaves the socket registered.
func (v Vigil) End() { v.end() }

// Leave takes the socket out of the instance once the sleeper was woken. Before that it cannot be
// armed again.
func (v Vigil) Leave(s *socket.Socket) { v.leave(s) }
