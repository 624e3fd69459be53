package memconn

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// Kind is in what one end of a connection differs from a socket, as connections do that programs
// make of other things.
type Kind uint8

// The kinds. Connections of all but the first say of themselves that they are no sockets.
const (
	Socket        Kind = iota // in nothing
	Wrapped                   // it cannot be known for one, as a type that embeds net.Conn
	NoDeadlines               // deadlines are refused, as by a channel of SSH
	IdleDeadlines             // deadlines do nothing, as those of pipes to another process
	OtherTimeouts             // what a passed deadline gives is an error of its own, as with yamux
	FatalTimeouts             // it is closed when a deadline passes, as a WebSocket
	NoCloseWrite              // its directions cannot be closed one by one
	OneOctet                  // a Read returns one octet, behind 32 KiB of these up to 509
	EmptyReads                // every other Read returns 0 and nil
)

// What Connect and Listen make of these is no Conn.
const (
	// TLS is a *tls.Conn on a Conn of kind Socket.
	TLS = EmptyReads + 1 + iota
	// TCP is a *net.TCPConn, by way of the loopback interface. It has no latency, bandwidth or
	// limits of Options, and cannot be used in a bubble of testing/synctest: a goroutine that waits
	// for the kernel is not durably blocked, so that neither Wait nor the clock of the bubble would
	// go on. It is for those tests that need neither.
	TCP
)

var kindNames = []string{
	"socket", "wrapped", "refused", "idle", "timeouts", "fatal", "nohalf", "octet", "empty", "tls", "tcp",
}

// String returns the name that KindVariable has.
func (k Kind) String() string { return kindNames[k] }

// Kinds are all kinds that a Conn can be of.
func Kinds() []Kind {
	all := make([]Kind, EmptyReads+1)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// KindVariable is the environment variable with the name of the kind that tests make of those ends
// of their connections that are under test, so that a test suite may be run on each.
const KindVariable = "SLUICE_TEST_CONN"

// TestKind returns the kind that KindVariable names, Socket where it is not set.
func TestKind() Kind {
	name := os.Getenv(KindVariable)
	if name == "" {
		return Socket
	}
	i := slices.Index(kindNames, name)
	if i < 0 {
		panic(fmt.Sprintf("%s is %q: it must be one of %q", KindVariable, name, kindNames))
	}
	return Kind(i)
}

// Become makes c one of the given kind, and returns it. It must be called before c is used. A Conn
// cannot be of kind TLS or TCP: Connect makes those.
func (c *Conn) Become(k Kind) *Conn {
	if k > EmptyReads {
		panic("memconn: a Conn cannot be of kind " + k.String())
	}
	c.kind = k
	if k == OneOctet {
		c.in.opts.MaxRead, c.in.single = 1, true
	}
	return c
}

// Of a connection of kind OneOctet, so many octets are read one by one, and then pieces of all
// sizes up to the largest: large bodies would take minutes otherwise.
const (
	singleOctets = 32 << 10
	maxPiece     = 509
)

var errNoDeadlines = errors.New("memconn: deadlines are not supported")

// otherTimeout is an error of a deadline that is not os.ErrDeadlineExceeded.
type otherTimeout struct{}

func (otherTimeout) Error() string   { return "memconn: timeout" }
func (otherTimeout) Timeout() bool   { return true }
func (otherTimeout) Temporary() bool { return true }

var errOtherTimeout error = otherTimeout{}

// setDeadline sets deadlines as the kind of c has them.
func (c *Conn) setDeadline(t time.Time, which ...*deadline) error {
	switch c.kind {
	case NoDeadlines:
		return errNoDeadlines
	case IdleDeadlines:
		return nil
	case FatalTimeouts:
		c.closeAt(t, which)
		return nil
	}
	for _, d := range which {
		d.set(t)
	}
	return nil
}

// closeAt has c closed at a time, in place of these deadlines.
func (c *Conn) closeAt(t time.Time, which []*deadline) {
	for _, d := range which {
		d.half.mu.Lock()
		d.stop()
		if !t.IsZero() && !c.closed.Load() {
			d.timer = time.AfterFunc(time.Until(t), func() { _ = c.Close() })
		}
		d.half.mu.Unlock()
	}
}
