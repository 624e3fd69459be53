//go:build !linux

package conn

import "net"

// newLowMark returns nil: sockets of other systems are woken for what comes.
func newLowMark(net.Conn) *lowMark { return nil }
