package tunnel

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
)

// tlsHandshake is the first octet of a TLS connection: the type of a record with a handshake
// message (RFC 8446 §5.1).
const tlsHandshake = 22

// maxHelloOctets bounds the records in which a ClientHello comes. crypto/tls takes a message of
// 64 KiB at most.
const maxHelloOctets = 128 << 10

// firstOctets waits until either side has sent something, and returns that. Something of the origin
// means that this is no TLS, in which the client comes first.
func (s *session) firstOctets(timeout time.Duration) (client, origin []byte, err error) {
	type result struct {
		b   []byte
		err error
	}
	long := time.Now().Add(timeout)
	_ = s.client.SetReadDeadline(long)
	read := make(chan result, 1)
	go func() {
		b := make([]byte, 512)
		n, err := s.origin.Read(b)
		if n > 0 || err != nil && !netconn.IsTimeout(err) {
			_ = s.client.SetReadDeadline(time.Unix(1, 0))
		}
		read <- result{b[:n], err}
	}()
	b := make([]byte, 4<<10)
	n, err := s.client.Read(b)
	_ = s.origin.SetReadDeadline(time.Unix(1, 0))
	r := <-read
	_ = s.origin.SetReadDeadline(time.Time{})
	_ = s.client.SetReadDeadline(time.Time{})
	if n == 0 && len(r.b) == 0 && netconn.IsTimeout(err) && (r.err == nil || netconn.IsTimeout(r.err)) {
		return nil, nil, errNoHello
	}
	return b[:n], r.b, nil
}

var errNoHello = errors.New("tunnel: neither side has sent anything in time")

// readHello reads a ClientHello, of which first was read already, and returns every octet that it
// has read. Where the client has sent something else that begins like one, the error is that of
// crypto/tls, and alert is what it would answer.
func readHello(
	c net.Conn,
	first []byte,
	timeout time.Duration,
) (hello *tls.ClientHelloInfo, octets, alert []byte, err error) {
	_ = c.SetReadDeadline(time.Now().Add(timeout))
	defer c.SetReadDeadline(time.Time{})
	rec := &helloConn{Conn: withFirst(c, first)}
	err = tls.Server(rec, &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			hello = h
			return nil, errHelloRead
		},
	}).HandshakeContext(context.Background())
	if hello == nil {
		return nil, rec.read.Bytes(), rec.wrote, err
	}
	hello.SupportedVersions = slices.DeleteFunc(slices.Clone(hello.SupportedVersions), func(v uint16) bool {
		return v < tls.VersionTLS10 || v > tls.VersionTLS13 // GREASE (RFC 8701) among them
	})
	return hello, rec.read.Bytes(), nil, nil
}

var errHelloRead = errors.New("tunnel: the ClientHello was read")

// helloConn keeps what is read from a connection, and writes nothing to it.
type helloConn struct {
	net.Conn
	read  bytes.Buffer
	wrote []byte
}

func (c *helloConn) Read(p []byte) (int, error) {
	if c.read.Len() > maxHelloOctets {
		return 0, errors.New("tunnel: ClientHello too long")
	}
	n, err := c.Conn.Read(p)
	c.read.Write(p[:n])
	return n, err
}

func (c *helloConn) Write(p []byte) (int, error) {
	if len(c.wrote) < 64 {
		c.wrote = append(c.wrote, p...)
	}
	return len(p), nil
}

func (c *helloConn) Close() error                     { return nil }
func (c *helloConn) SetDeadline(time.Time) error      { return nil }
func (c *helloConn) SetWriteDeadline(time.Time) error { return nil }
