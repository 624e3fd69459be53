package conn

import (
	"net"

	"github.com/sluice-go/sluice/internal/socket"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// TLS record batching. The output is encrypted as a whole, into the records of several frames, and
// written to the socket below TLS with one call, as if there were no TLS.
//
//  1. writeTarget finds whether crypto/tls runs on a tlsbatch.Conn, which packages server and
//     client have put below it.
//  2. encrypt has crypto/tls write the output into memory.
//  3. What crypto/tls has to say by itself meanwhile, as the answer to KeyUpdate, is kept back, and
//     written behind the output (writeDeferredTLS).

// writeTarget returns what is written to, nc or the socket below its TLS, and in the second case
// what batches the records of TLS.
func writeTarget(nc net.Conn) (net.Conn, *tlsbatch.Conn) {
	if s := tlsbatch.Of(nc); s != nil && socket.NewWriter(socket.Of(s.NetConn())) != nil {
		return s.NetConn(), s
	}
	return nc, nil
}

// encrypt encrypts the output b, which buf holds. What it returns is written to the socket.
func (c *Conn) encrypt(buf *buffer, b []byte) (*buffer, []byte, error) {
	records := outPool.Get().(*buffer)
	encrypted, err := c.writer.tlsBatch.Encrypt(c.nc, b, *records)
	c.writer.tlsOverhead = int32(len(encrypted) - len(b))
	putOut(buf, b)
	return records, encrypted, err
}

// writeDeferredTLS writes what crypto/tls had to say by itself while the output was written.
func (c *Conn) writeDeferredTLS() error {
	for {
		b := c.writer.tlsBatch.Flushed()
		if len(b) == 0 {
			return nil
		}
		if _, err := c.write(b); err != nil {
			return err
		}
	}
}
