package proxydial

import (
	"context"
	"net"

	"golang.org/x/net/proxy"
)

// dialSOCKS opens a tunnel with SOCKS 5 (RFC 1928), with the user and password of the proxy's URL
// (RFC 1929). The proxy gets the name of the target.
func (d *Dialer) dialSOCKS(ctx context.Context, target string) (net.Conn, error) {
	addr, err := ProxyAddr(d.Proxy)
	if err != nil {
		return nil, err
	}
	var auth *proxy.Auth
	if u := d.Proxy.User; u != nil {
		auth = &proxy.Auth{User: u.Username()}
		auth.Password, _ = u.Password()
	}
	s, err := proxy.SOCKS5("tcp", addr, auth, nil)
	if err != nil {
		return nil, err
	}
	nc, _, err := d.dialProxy(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := d.withAnswerTimeout(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { closeRaw(nc) })
	// The connection stays the one that was dialled, with its CloseWrite: the proxy.Dialer would
	// wrap it.
	_, err = s.(interface {
		DialWithConn(ctx context.Context, c net.Conn, network, address string) (net.Addr, error)
	}).DialWithConn(ctx, nc, "tcp", target)
	if !stop() {
		err = ctx.Err()
	} else if err != nil {
		err = &Error{Addr: d.Proxy.Host, Target: target, Err: err}
	}
	if err != nil {
		closeRaw(nc)
		return nil, err
	}
	return nc, nil
}
