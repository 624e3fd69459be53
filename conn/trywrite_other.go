//go:build !unix

package conn

import "net"

// newTryWriter returns nil: there is no way on this system.
func newTryWriter(net.Conn) tryWriter { return nil }
