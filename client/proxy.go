package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
)

// proxy is an HTTP proxy that is asked for a tunnel with CONNECT, in HTTP/1.1 (RFC 9110 §9.3.6).
type proxy struct {
	t   *Transport
	url *url.URL
}

// proxyTimeout bounds the wait for the proxy's answer, as in net/http.
const proxyTimeout = time.Minute

// maxProxyResponse bounds the head of the proxy's response, in octets.
const maxProxyResponse = 64 << 10

// connect returns a connection to addr through the proxy.
func (p *proxy) connect(ctx context.Context, addr string) (net.Conn, error) {
	proxyAddr, err := hostPort(p.url.Scheme, p.url.Host)
	if err != nil {
		return nil, err
	}
	nc, err := p.t.dialContext(ctx, "tcp", proxyAddr)
	if err != nil {
		return nil, err
	}
	if p.url.Scheme == "https" {
		if nc, err = p.t.startTLS(ctx, nc, proxyAddr, []string{"http/1.1"}); err != nil {
			return nil, err
		}
	}
	tunnel, err := p.tunnel(ctx, nc, addr)
	if err != nil {
		_ = nc.Close()
	}
	return tunnel, err
}

// tunnel has the proxy connect nc to addr.
func (p *proxy) tunnel(ctx context.Context, nc net.Conn, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, proxyTimeout)
	defer cancel()
	header, err := p.header(ctx, addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { closeRaw(nc) })
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: header}
	if err := req.Write(nc); err != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	// What is read behind the proxy's response belongs to the tunnel: see below.
	r := bufio.NewReader(io.LimitReader(nc, maxProxyResponse))
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	if !stop() {
		return nil, ctx.Err()
	}
	if f := p.t.OnProxyConnectResponse; f != nil {
		if err := f(ctx, p.url, req, resp); err != nil {
			return nil, err
		}
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &ProxyError{Addr: p.url.Host, StatusCode: resp.StatusCode, Header: resp.Header}
	}
	if r.Buffered() > 0 {
		early, _ := r.Peek(r.Buffered())
		return &netconn.Prefixed{Conn: nc, Prefix: early}, nil
	}
	return nc, nil
}

// closeRaw closes nc without the close_notify of TLS, which could wait. It ends reads and writes
// that wait even where deadlines do not work.
func closeRaw(nc net.Conn) {
	defer func() { _ = recover() }() // nc is not used any more, so that a panic in its Close does not matter
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	_ = nc.Close()
}

// ProxyError is the error of a dial that a proxy has refused.
type ProxyError struct {
	Addr       string // of the proxy, "host:port"
	StatusCode int
	Header     http.Header
}

// Error names the proxy and its answer.
func (e *ProxyError) Error() string {
	return "http2: proxy " + e.Addr + " refuses CONNECT: " + statusText(e.StatusCode)
}

// header returns the fields of the CONNECT request.
func (p *proxy) header(ctx context.Context, addr string) (http.Header, error) {
	header := p.t.ProxyConnectHeader.Clone()
	if f := p.t.GetProxyConnectHeader; f != nil {
		h, err := f(ctx, p.url, addr)
		if err != nil {
			return nil, err
		}
		header = h.Clone()
	}
	if header == nil {
		header = make(http.Header)
	}
	if u := p.url.User; u != nil && header.Get("Proxy-Authorization") == "" {
		password, _ := u.Password()
		header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	return header, nil
}
