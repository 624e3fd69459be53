// Package wire is what the readers of captures hand to each other: the octets of a connection, in
// order, with what is known to be missing.
package wire

import "time"

// Dir is the side of a connection that has sent something.
type Dir uint8

// The two sides.
const (
	Client Dir = iota // what opened the connection
	Server
)

// Other returns the other side.
func (d Dir) Other() Dir { return d ^ 1 }

func (d Dir) String() string {
	if d == Server {
		return "server"
	}
	return "client"
}

// How says how one direction of a connection has ended.
type How uint8

// The ends of a direction.
const (
	Open   How = iota // the capture ends before the direction does
	Closed            // in order: FIN, or the close_notify of TLS
	Reset             // RST
)

// A Sink takes what a connection carries. Its methods are called by one goroutine, each direction
// in its order. Times never decrease within a direction.
type Sink interface {
	// Octets has the next octets of a direction. They are valid during the call only.
	Octets(d Dir, t time.Time, p []byte)

	// Lost says that n octets of a direction, at least 1, are not in the capture; the next call of
	// Octets is behind them. n is -1 where their number is unknown.
	Lost(d Dir, t time.Time, n int64, why string)

	// End is the last call for a direction.
	End(d Dir, t time.Time, how How)
}
