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
	answerCtx, cancel := d.withAnswerTimeout(ctx)
	defer cancel()
	stop := context.AfterFunc(answerCtx, func() { closeRaw(nc) })
	// The connection stays the one that was dialled, with its CloseWrite: the proxy.Dialer would
	// wrap it.
	_, err = s.(interface {
		DialWithConn(ctx context.Context, c net.Conn, network, address string) (net.Addr, error)
	}).DialWithConn(answerCtx, nc, "tcp", target)
	if !stop() {
		err = answerCtx.Err()
	}
	if err == nil {
		return nc, nil
	}
	closeRaw(nc)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, &Error{Addr: d.Proxy.Host, Target: target, Err: err}
}
