package client

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/internal/proxydial"
)

// proxy is a proxy through which connections are made (package proxydial).
type proxy struct {
	url    *url.URL
	dialer *proxydial.Dialer
}

const (
	// maxProxies bounds the proxies that a Transport keeps dialers for.
	maxProxies = 100
	// proxyIdleTimeout closes a connection to a proxy that had no tunnel for this long, where
	// Transport.IdleConnTimeout is not set.
	proxyIdleTimeout = 90 * time.Second
)

// proxies are the proxies that were used, by their URL. Each has connections of HTTP/2 that tunnels
// share.
type proxies struct {
	mu    sync.Mutex // guards byURL
	byURL map[string]*proxy
}

// proxyFor returns the proxy of a URL.
func (t *Transport) proxyFor(u *url.URL) *proxy {
	key := u.String()
	var evicted []*proxy
	defer func() { // without the lock: see http1For
		for _, p := range evicted {
			p.dialer.CloseIdleConnections() // others are closed when they have been idle
		}
	}()
	t.proxies.mu.Lock()
	defer t.proxies.mu.Unlock()
	if p := t.proxies.byURL[key]; p != nil {
		return p
	}
	for other, p := range t.proxies.byURL {
		if len(t.proxies.byURL) < maxProxies {
			break
		}
		delete(t.proxies.byURL, other)
		evicted = append(evicted, p)
	}
	if t.proxies.byURL == nil {
		t.proxies.byURL = make(map[string]*proxy)
	}
	p := t.newProxy(u)
	t.proxies.byURL[key] = p
	return p
}

func (t *Transport) newProxy(u *url.URL) *proxy {
	own := *u // the application may change its own
	d := &proxydial.Dialer{
		Proxy:    &own,
		Dial:     t.dialContext,
		StartTLS: t.startTLS,
		Header: func(ctx context.Context, target string) (http.Header, error) {
			return t.connectHeader(ctx, &own, target)
		},
		Config:            t.proxyConfig(),
		MaxTunnelsPerConn: proxydial.DefaultMaxTunnelsPerConn,
	}
	if f := t.OnProxyConnectResponse; f != nil {
		d.OnResponse = func(ctx context.Context, req *http.Request, resp *http.Response) error {
			return f(ctx, &own, req, resp)
		}
	}
	return &proxy{url: &own, dialer: d}
}

// proxyConfig returns the settings of HTTP/2 connections to a proxy. The windows are those of other
// connections: a download through a tunnel is as fast as without.
func (t *Transport) proxyConfig() conn.Config {
	cfg := t.connConfig()
	cfg.EnablePush, cfg.TreePriorities = false, false
	cfg.Scheduler = nil // its priorities are those of requests
	cfg.MaxHeaderBytes = proxydial.MaxHead
	cfg.IdleTimeout = cmp.Or(cfg.IdleTimeout, proxyIdleTimeout)
	return cfg
}

// connectHeader returns the fields of a CONNECT request.
func (t *Transport) connectHeader(ctx context.Context, proxyURL *url.URL, target string) (http.Header, error) {
	if f := t.GetProxyConnectHeader; f != nil {
		return f(ctx, proxyURL, target)
	}
	return t.ProxyConnectHeader, nil
}

// connect returns a connection to addr through the proxy.
func (p *proxy) connect(ctx context.Context, addr string) (net.Conn, error) {
	nc, err := p.dialer.DialContext(ctx, "tcp", addr)
	var pe *proxydial.Error
	if errors.As(err, &pe) {
		return nil, (*ProxyError)(pe)
	}
	return nc, err
}

// closeIdle closes the connections to proxies that have no tunnel, and those that lose their last
// one before another is dialled.
func (p *proxies) closeIdle() {
	p.mu.Lock()
	all := make([]*proxy, 0, len(p.byURL))
	for _, one := range p.byURL {
		all = append(all, one)
	}
	p.mu.Unlock()
	for _, one := range all {
		one.dialer.CloseIdleConnections()
	}
}

// ProxyError is the error of a dial that a proxy has refused, or has not answered as it should.
type ProxyError struct {
	Addr       string      // of the proxy, as its URL has it
	StatusCode int         // of the answer; 0 where none came, or none that can be understood, and with SOCKS
	Header     http.Header // of the answer; nil where it did not come whole

	Target      string // host and port that were asked for
	ProxyStatus string // the Proxy-Status field, in which a proxy says what went wrong (RFC 9209); "" without one
	Body        []byte // the beginning of the answer's body, at most 1 KiB
	Err         error  // why the answer was not usable; nil after one that was
}

// Error names the proxy, the target, and what the proxy has said: its status, and Proxy-Status or
// the first line of the body.
func (e *ProxyError) Error() string { return (*proxydial.Error)(e).Error() }

// Unwrap returns Err.
func (e *ProxyError) Unwrap() error { return e.Err }

// Timeout reports whether the proxy took too long.
func (e *ProxyError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// forwardHTTP2 sends a request for an http URL to a proxy that speaks HTTP/2 by prior knowledge,
// which sends it on: the request itself says, with its scheme and authority, what it is for.
func (t *Transport) forwardHTTP2(req *http.Request, proxyURL *url.URL) (*http.Response, error) {
	addr, err := proxydial.ProxyAddr(proxyURL)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	out := req
	if u := proxyURL.User; u != nil && req.Header.Get("Proxy-Authorization") == "" {
		password, _ := u.Password()
		out = req.WithContext(req.Context())
		if out.Header = req.Header.Clone(); out.Header == nil {
			out.Header = make(http.Header)
		}
		out.Header.Set("Proxy-Authorization",
			"Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	target := &Target{Key: Key{Scheme: "http", Addr: addr, Proxy: proxyURL.String()}, t: t}
	resp, err := t.roundTrip(out, target)
	if err == nil {
		resp.Request = req
	}
	return resp, err
}
