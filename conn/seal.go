package conn

import (
	"net"

	"github.com/sluice-go/sluice/internal/socket"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// below returns the socket that is written to without waiting, and what lies between it and TLS:
// nil where nc is the socket itself, or where TLS has to write in its own way.
func below(nc net.Conn) (net.Conn, *tlsbatch.Conn) {
	if s := tlsbatch.Of(nc); s != nil && socket.NewWriter(socket.Of(s.NetConn())) != nil {
		return s.NetConn(), s
	}
	return nc, nil
}

// seal encrypts the output b, which box holds. What it returns is written to the socket as if there
// were no TLS.
func (c *Conn) seal(box *buffer, b []byte) (*buffer, []byte, error) {
	wire := outPool.Get().(*buffer)
	records, err := c.under.Seal(c.nc, b, wire.b)
	c.overhead = int32(len(records) - len(b))
	putOut(box, b)
	return wire, records, err
}

// sealed writes what TLS had to say by itself while the output was written.
func (c *Conn) sealed() error {
	for {
		b := c.under.Sent()
		if len(b) == 0 {
			return nil
		}
		if _, err := c.write(b); err != nil {
			return err
		}
	}
}
