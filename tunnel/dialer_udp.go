package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/sluice-go/sluice/internal/proxydial"
)

// ErrNoConnectProtocol is the error of DialUDP through a proxy that speaks HTTP/2 and does not
// offer extended CONNECT (RFC 8441 §3).
var ErrNoConnectProtocol = proxydial.ErrNoConnectProtocol

// DialUDP opens a tunnel for UDP to addr, "host:port", through the proxy (RFC 9298): over HTTP/2
// with extended CONNECT, where Proxy is https and ALPN chooses that, or h2c, and else over HTTP/1.1
// with an Upgrade. The proxy is asked at the path /.well-known/masque/udp/, and resolves the name.
// ctx bounds the dial, and not the life of the tunnel.
//
// What is returned is a [*UDPConn], and so a net.Conn as well. Without a Proxy it is a socket that
// is connected to addr, of that form. The errors are those of DialContext, and
// ErrNoConnectProtocol.
func (d *Dialer) DialUDP(ctx context.Context, addr string) (net.PacketConn, error) {
	d.init()
	if d.once.dialer == nil {
		return dialUDPDirect(ctx, addr)
	}
	nc, target, err := d.once.dialer.DialUDP(ctx, addr)
	var pe *proxydial.Error
	switch {
	case errors.As(err, &pe):
		return nil, (*ProxyError)(pe)
	case err != nil:
		return nil, err
	}
	return newUDPConn(nc, target), nil
}

// dialUDPDirect is DialUDP without a proxy.
func dialUDPDirect(ctx context.Context, addr string) (net.PacketConn, error) {
	var nd net.Dialer
	nc, err := nd.DialContext(ctx, "udp", addr)
	if err != nil {
		return nil, err
	}
	udp, ok := nc.(*net.UDPConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("tunnel: package net has dialled udp with a %T", nc), nc.Close())
	}
	return directUDP{udp}, nil
}

// directUDP is a connected socket whose WriteTo takes the address that it is connected to.
type directUDP struct{ *net.UDPConn }

// WriteTo is Write. The address must be that of the target.
func (c directUDP) WriteTo(p []byte, addr net.Addr) (int, error) {
	if addr == nil || addr.String() != c.RemoteAddr().String() {
		return 0, &net.OpError{
			Op: "write", Net: "udp", Source: c.LocalAddr(), Addr: c.RemoteAddr(),
			Err: fmt.Errorf("the socket leads to %v, not to %v", c.RemoteAddr(), addr),
		}
	}
	return c.Write(p)
}
