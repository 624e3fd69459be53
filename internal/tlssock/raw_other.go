//go:build !unix

package tlssock

import (
	"net"

	"github.com/sluice-go/sluice/internal/netconn"
)

// rawReader is net.Conn.Read: there is no other way on this system.
type rawReader struct{ patience netconn.Patience }

func (*rawReader) init(net.Conn) {}

func (r *rawReader) read(nc net.Conn, p []byte) (int, error) { return r.patience.Read(nc, p) }
