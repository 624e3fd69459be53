package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sluice-go/sluice/internal/alpn"
)

// newHTTP1 returns the transport of net/http that speaks HTTP/1.1 for t.
func (t *Transport) newHTTP1() *http.Transport {
	var p http.Protocols
	p.SetHTTP1(true)
	h := &http.Transport{
		Proxy:                  t.chosenProxy,
		ProxyConnectHeader:     t.ProxyConnectHeader,
		GetProxyConnectHeader:  t.GetProxyConnectHeader,
		DialContext:            t.dialContext,
		TLSHandshakeTimeout:    t.handshakeTimeout(),
		DisableKeepAlives:      t.DisableKeepAlives,
		DisableCompression:     t.DisableCompression,
		MaxIdleConns:           t.MaxIdleConns,
		MaxIdleConnsPerHost:    cmp.Or(t.MaxIdleConnsPerHost, DefaultMaxIdleConnsPerHost),
		MaxConnsPerHost:        t.MaxConnsPerHost,
		IdleConnTimeout:        t.IdleConnTimeout,
		ResponseHeaderTimeout:  t.ResponseHeaderTimeout,
		ExpectContinueTimeout:  t.ExpectContinueTimeout,
		MaxResponseHeaderBytes: t.MaxResponseHeaderBytes,
		OnProxyConnectResponse: t.OnProxyConnectResponse,
		WriteBufferSize:        t.WriteBufferSize,
		ReadBufferSize:         t.ReadBufferSize,
		Protocols:              &p,
	}
	if t.TLSClientConfig != nil {
		h.TLSClientConfig = t.TLSClientConfig.Clone()
		h.TLSClientConfig.NextProtos = alpn.Adjust(h.TLSClientConfig.NextProtos, p)
	}
	if t.DialTLSContext != nil || t.DialTLS != nil {
		h.DialTLSContext = t.dialTLS
	}
	for proto, f := range t.TLSNextProto {
		if proto != protoTLS && proto != protoClear {
			if h.TLSNextProto == nil {
				h.TLSNextProto = make(map[string]func(string, *tls.Conn) http.RoundTripper)
			}
			h.TLSNextProto[proto] = f
		}
	}
	return h
}

// http1Key says which http.Transport speaks HTTP/1.1 with a server.
type http1Key struct {
	proxy     string // its URL, empty without one
	http1Only bool   // HTTP/2 is not offered
}

// maxHTTP1 bounds the transports of net/http, of which each proxy has one or two.
const maxHTTP1 = 100

// http1For returns the http.Transport for a target, which has no Proxy function. Connections of TLS
// are dialled here, so that ALPN decides each time which protocol is spoken, unless the proxy is
// one that only net/http knows.
func (t *Transport) http1For(target *Target, http1Only bool) *http.Transport {
	key := http1Key{target.Proxy, http1Only}
	var evicted []*http.Transport
	defer func() { // without the lock, since Close of a connection may be the application's, and wait
		for _, old := range evicted {
			old.CloseIdleConnections()
		}
	}()
	t.h1.mu.Lock()
	defer t.h1.mu.Unlock()
	if h := t.h1.transports[key]; h != nil {
		return h
	}
	h := t.newHTTP1()
	h.Proxy = nil
	if target.dialable() {
		proxy := target.proxy
		h.DialTLSContext = func(ctx context.Context, _, addr string) (net.Conn, error) {
			to := &Target{Key: Key{Scheme: "https", Addr: addr, Proxy: key.proxy}, t: t, proxy: proxy}
			return t.dialHTTP1(ctx, to, http1Only)
		}
	} else {
		h.Proxy = http.ProxyURL(target.proxy.url)
	}
	if t.h1.transports == nil {
		t.h1.transports = make(map[http1Key]*http.Transport)
	}
	for other, old := range t.h1.transports {
		if len(t.h1.transports) < maxHTTP1 {
			break
		}
		delete(t.h1.transports, other)
		evicted = append(evicted, old)
	}
	t.h1.transports[key] = h
	return h
}

// isCurrent reports whether t is the transport for a key, and was not evicted.
func (h *http1State) isCurrent(key http1Key, t *http.Transport) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.transports[key] == t
}

// dialHTTP1 dials for net/http. The error is errIsHTTP2 where the server speaks HTTP/2; then the
// pool has the connection.
func (t *Transport) dialHTTP1(ctx context.Context, target *Target, http1Only bool) (net.Conn, error) {
	ctx = traceOfDial(ctx)
	protos := []string{"http/1.1"}
	if !http1Only {
		if nc := t.h1.takeSpare(target.Key); nc != nil {
			return nc, nil
		}
		protos = t.nextProtos()
	}
	nc, isHTTP2, err := t.dialConn(ctx, target, target.Addr, protos)
	switch p := t.once.ownPool; {
	case err != nil:
		return nil, err
	case !isHTTP2:
		return nc, nil
	case http1Only || p == nil:
		_ = nc.Close() // it was not used
	default:
		p.mu.Lock()
		p.addLocked(p.groupLocked(target), t.newClientConn(nc, target.Key))
		p.mu.Unlock()
	}
	return nil, errIsHTTP2
}

// errIsHTTP2 is the error of a dial for HTTP/1.1 where ALPN has chosen HTTP/2.
var errIsHTTP2 = errors.New("http2: the server has chosen HTTP/2 where HTTP/1.1 was wanted")

// sendHTTP1 has net/http send a request with a body, nil for none, which may be another than the
// request's own. With http1Only, HTTP/2 is not offered. After the error errIsHTTP2 or errOldTLS the
// body is unread and not closed.
func (t *Transport) sendHTTP1(
	req *http.Request, unsentBody io.ReadCloser, target *Target, http1Only bool,
) (*http.Response, error) {
	out := withDialTrace(req, target.getConnCalled, target.dialable())
	var body *recallableBody
	if unsentBody != nil && unsentBody != http.NoBody {
		body = &recallableBody{body: unsentBody}
		out.Body = body
	}
	out.Host = http1Host(req)
	h := t.http1For(target, http1Only)
	t.h1.addCancel(req, func() { h.CancelRequest(out) }) //nolint:staticcheck // deprecated, and part of the contract
	resp, err := h.RoundTrip(out)
	t.h1.removeCancel(req)
	if !t.h1.isCurrent(http1Key{target.Proxy, http1Only}, h) {
		h.CloseIdleConnections() // it was evicted; the connection of the response is not kept after that
	}
	otherWay := wrongProtocol(err)
	if otherWay && body != nil && !body.isUnread() {
		otherWay = false
		err = fmt.Errorf("%s, and a part of the request's body was sent", err.Error()) // not errIsHTTP2
	}
	if body != nil && !otherWay {
		body.markFinal()
	}
	if err != nil {
		return nil, err
	}
	resp.Request = req
	return resp, nil
}

// addCancel records how a request that is sent with HTTP/1.1 is cancelled, until removeCancel.
func (h *http1State) addCancel(req *http.Request, cancel func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cancels == nil {
		h.cancels = make(map[*http.Request]func())
	}
	h.cancels[req] = cancel
}

// removeCancel forgets what addCancel has recorded.
func (h *http1State) removeCancel(req *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.cancels, req)
}

// cleartextHTTP1 has net/http send a request to an http URL, in absolute form where there is a
// proxy of HTTP/1.1. A proxy that speaks HTTP/2 by prior knowledge gets it with HTTP/2.
func (t *Transport) cleartextHTTP1(req *http.Request) (*http.Response, error) {
	out := req
	if req.URL.Scheme == "http" {
		p, err := t.proxyURL(req)
		switch {
		case err != nil:
			closeBody(req)
			return nil, err
		case p != nil && p.Scheme == "h2c":
			return t.forwardHTTP2(req, p)
		case t.Proxy != nil: // which is called once
			out = req.WithContext(context.WithValue(req.Context(), chosenProxyKey{}, chosenProxy{p}))
		}
	}
	if host := http1Host(req); host != req.Host {
		if out == req {
			out = req.WithContext(req.Context())
		}
		out.Host = host
	}
	if out == req {
		return t.once.h1.RoundTrip(req)
	}
	cancel := t.once.h1.CancelRequest //nolint:staticcheck // deprecated, and part of the contract
	t.h1.addCancel(req, func() { cancel(out) })
	resp, err := t.once.h1.RoundTrip(out)
	t.h1.removeCancel(req)
	if err == nil {
		resp.Request = req
	}
	return resp, err
}

// chosenProxy is what proxyURL has returned for a request that net/http is about to send. It is a
// value of its context, by chosenProxyKey.
type (
	chosenProxy    struct{ url *url.URL }
	chosenProxyKey struct{}
)

// chosenProxy returns the proxy of a request that net/http sends.
func (t *Transport) chosenProxy(req *http.Request) (*url.URL, error) {
	if c, ok := req.Context().Value(chosenProxyKey{}).(chosenProxy); ok {
		return c.url, nil
	}
	return t.proxyURL(req)
}

// http1Host returns the Host of a request, in the form that HTTP/2 sends where it is not ASCII:
// net/http uses Punycode without the rest of IDNA.
func http1Host(req *http.Request) string {
	host := cmp.Or(req.Host, req.URL.Host)
	if isASCII(host) {
		return req.Host
	}
	ascii, err := asciiHost(host)
	if err != nil {
		return req.Host // net/http says what is wrong
	}
	return ascii
}

// wrongProtocol reports whether err is that of a dial after which the request can be sent with the
// other protocol.
func wrongProtocol(err error) bool { return errors.Is(err, errIsHTTP2) || errors.Is(err, errOldTLS) }

// onlyHTTP1 has net/http send a request with HTTP/1.1, and offer nothing else.
func (t *Transport) onlyHTTP1(req *http.Request, body io.ReadCloser, target *Target) (*http.Response, error) {
	resp, err := t.sendHTTP1(req, body, target, true)
	if err != nil {
		t.h1.forget(target.Key) // the next request offers HTTP/2 again
		if wrongProtocol(err) && body != nil {
			_ = body.Close() // as net/http: the request has failed for another reason
		}
	}
	return resp, err
}

// recallableBody is a request's body that net/http closes when it gets no connection, though the
// request may be sent on another then: the Close of an unread body is held back.
type recallableBody struct {
	mu      sync.Mutex // guards what changes below
	body    io.ReadCloser
	started bool // Read was called
	final   bool // Close is not held back
	closed  bool // Close was called
}

// Read reads the body.
func (b *recallableBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	b.started = true
	b.mu.Unlock()
	return b.body.Read(p)
}

// Close closes the body, unless that is unread and the request may be sent in another way.
func (b *recallableBody) Close() error {
	b.mu.Lock()
	b.closed = true
	settled := b.final || b.started
	b.mu.Unlock()
	if !settled {
		return nil
	}
	return b.body.Close()
}

// isUnread reports whether nothing was read.
func (b *recallableBody) isUnread() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.started
}

// markFinal has Close close the body, also if it was called before.
func (b *recallableBody) markFinal() {
	b.mu.Lock()
	pending := b.closed && !b.started && !b.final
	b.final = true
	b.mu.Unlock()
	if pending {
		_ = b.body.Close() // as net/http: the request has ended for another reason
	}
}

// dialContext calls DialContext or what stands for it.
func (t *Transport) dialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if t.DialContext != nil {
		return dialed(t.DialContext(ctx, network, addr))
	}
	if t.Dial != nil {
		return dialed(t.Dial(network, addr))
	}
	d := net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	return d.DialContext(ctx, network, addr)
}

// dialTLS calls DialTLSContext or DialTLS, of which one is set.
func (t *Transport) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	if t.DialTLSContext != nil {
		return dialed(t.DialTLSContext(ctx, network, addr))
	}
	return dialed(t.DialTLS(network, addr))
}

// proxyURL calls Proxy or what stands for it.
func (t *Transport) proxyURL(req *http.Request) (*url.URL, error) {
	if t.Proxy != nil {
		return t.Proxy(req)
	}
	return http.ProxyFromEnvironment(req)
}
