package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// Driver is a Conn with the methods that package conn needs to serve it fast and from several
// goroutines: the steps of Receive (Decode, Apply, SetPartial), frames that are refused
// (Frame, Refuse), output without a copy (FillVectored, Finish, Keep, Unqueue), slow sockets
// (SetBackpressure, Awaits, StopAwaiting), windows that grow (Tune), the time (SetTime), and the
// present state of the connection. A program with one goroutine can do without them. They are not
// stable: a later version may change or remove them.
//
// A Driver is one pointer, and two Drivers of the same Conn are equal.
type Driver struct{ *Conn }

// Driver returns the Driver of c.
func (c *Conn) Driver() Driver { return Driver{c} }

// SetTime says what time it is. Methods without a time argument, like Queue and SendHead, use the
// time of the last call that had one, which may be long ago. So SetTime is to be called before a
// Queue that will have to wait for the peer's window, because StallTimeout runs from then, and
// after a call that may have ended the last stream, because IdleTimeout runs from then.
func (d Driver) SetTime(now time.Time) {
	d.advance(now)
	if d.settings.ackStale {
		d.startAckTimer()
	}
	if d.idle.stale {
		d.idle.since, d.idle.stale = d.now, false
		if d.goAway.stale {
			d.setDrainTimes(d.now)
		}
	}
}

// NeedsTime reports whether SETTINGS were sent since the last call that had a time argument:
// SettingsTimeout runs from the next one, or SetTime.
func (d Driver) NeedsTime() bool { return d.settings.ackStale }

// OutputLen returns how many octets wait to be taken by Output.
func (d Driver) OutputLen() int { return len(d.out) }

// NumStreams returns how many streams are open, half-closed or reserved.
func (d Driver) NumStreams() int { return d.streams.Len() }

// State is what a connection has to do at one moment.
type State struct {
	Unread    int64 // octets of DATA that were received and not consumed
	Ready     bool  // a stream is ready, or awaited (see SetBackpressure): while none is, Fill does nothing
	Receiving bool  // the stream of the last DATA frame is not closed: see ExpectedData
	Draining  bool  // a shutdown has begun on either side
	Drained   bool  // the connection is over in good order: see Conn.Drained
}

// State returns the state of the connection now.
func (d Driver) State() State {
	g := &d.goAway
	over := g.drain == drainFinal && g.lingerUntil == 0 || g.received && d.cfg.Role == Client
	return State{
		Unread:    d.recv.unread,
		Ready:     d.sched.num[ready]+d.sched.num[awaited] > 0,
		Receiving: d.streams.lastData != nil,
		Draining:  g.drain != running || g.received,
		Drained:   d.NumStreams() == 0 && over,
	}
}

// LocalStreams returns how many streams are open or half-closed that this side has opened.
func (d Driver) LocalStreams() int { return int(d.streams.local) }

// Streams calls f for every stream in the table. f must not open or close streams.
func (d Driver) Streams(f func(*Stream)) {
	for _, s := range d.streams.All() {
		f(s)
	}
}

// SendWindow returns how many octets the peer's window for the connection has room for.
func (d Driver) SendWindow() int64 { return int64(d.sendWindow.Available()) }

// Abandon says that the connection is over, without GOAWAY, and that the memory of its streams may
// be used for other streams. From then on nothing is appended, as after Fail, and the scheduler,
// which still refers to that memory, is not called.
func (d Driver) Abandon() {
	if d.connErr == nil {
		d.connErr = errAbandoned
	}
}

var errAbandoned = &frame.ConnError{Code: frame.NoError, Reason: "connection closed"}

// Sendable reports whether Fill would move data to the output, or end the connection for a fault of
// the scheduler.
func (d Driver) Sendable() bool {
	return d.connErr == nil && d.sched.num[ready] > 0 && d.sendWindow.Available() > 0
}

// Contended reports whether more than one stream has something to send that its window lets pass,
// or is awaited (see SetBackpressure).
func (d Driver) Contended() bool { return d.sched.num[ready]+d.sched.num[awaited] > 1 }

// RTT returns the round-trip time of the path, as acknowledgements of SETTINGS and PING have shown
// it, and 0 while it is not known. More than 4 s count as 4 s.
func (d Driver) RTT() time.Duration { return d.recv.bdp.RTT() }

// RecvWindow returns the size of the connection's receive window, and by how many octets the
// windows of all its streams have grown together.
func (d Driver) RecvWindow() (size, growth int64) {
	return int64(d.recv.window.Size()), int64(d.recv.growth)
}
