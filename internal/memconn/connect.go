package memconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/sluice-go/sluice/internal/selfsigned"
)

// End is one end of a connection of any kind.
type End interface {
	net.Conn
	CloseWrite() error
}

// Connect is Pipe for every kind of connection. Where one end is of kind TLS or TCP, both are. It
// panics where the system has no socket to give.
//
// The handshake of TLS is over when Connect returns, and takes no time on links that have a latency
// or a bandwidth; both ends have agreed on "h2".
func Connect(o Options) (client, server End) {
	switch {
	case o.is(TLS):
		return connectTLS(o)
	case o.is(TCP):
		return connectTCP()
	}
	return Pipe(o)
}

func (o Options) is(k Kind) bool { return o.Client == k || o.Server == k }

// Below returns the Conn that an end has its bytes from: nc itself, or the one below its TLS. It is
// nil for an end of kind TCP.
func Below(nc net.Conn) *Conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, _ := nc.(*Conn)
	return c
}

// certificate is what all servers of kind TLS have. Clients do not verify it: the time of a bubble
// is not that of the certificate.
var certificate = sync.OnceValues(func() (tls.Certificate, error) { return selfsigned.Certificate("localhost") })

func connectTLS(o Options) (client, server End) {
	cert, err := certificate()
	if err != nil {
		panic(err)
	}
	o.Client, o.Server = Socket, Socket
	below, above := Pipe(Options{})
	protocols := []string{"h2"}
	c := tls.Client(below, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}) //nolint:gosec // see certificate
	// Without tickets the server has nothing to say that the protocol above TLS does not.
	s := tls.Server(above, &tls.Config{
		Certificates: []tls.Certificate{cert}, NextProtos: protocols, SessionTicketsDisabled: true,
	})
	done := make(chan error, 1)
	go func() { done <- c.HandshakeContext(context.Background()) }()
	if err := errors.Join(s.HandshakeContext(context.Background()), <-done); err != nil {
		panic(fmt.Sprintf("memconn: the handshake of TLS: %v", err))
	}
	below.in.opts, below.out.opts = o.withDefaults(), o.withDefaults()
	return c, s
}

// connectTCP returns the ends of a connection by way of the loopback interface.
func connectTCP() (client, server End) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		panic(err)
	}
	s, err := l.Accept()
	if err != nil {
		panic(err)
	}
	return c.(*net.TCPConn), s.(*net.TCPConn)
}
