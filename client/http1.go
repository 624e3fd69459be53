package client

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// newHTTP1 returns the transport of net/http that speaks HTTP/1.1 for t.
func (t *Transport) newHTTP1() *http.Transport {
	var p http.Protocols
	p.SetHTTP1(true)
	h := &http.Transport{
		Proxy:                  t.proxyURL,
		ProxyConnectHeader:     t.ProxyConnectHeader,
		GetProxyConnectHeader:  t.GetProxyConnectHeader,
		DialContext:            t.dialContext,
		TLSHandshakeTimeout:    t.handshakeTimeout(),
		DisableKeepAlives:      t.DisableKeepAlives,
		DisableCompression:     t.DisableCompression,
		MaxIdleConns:           t.MaxIdleConns,
		MaxIdleConnsPerHost:    cmp.Or(t.MaxIdleConnsPerHost, defaultMaxIdlePerHost),
		MaxConnsPerHost:        t.MaxConnsPerHost,
		IdleConnTimeout:        t.IdleConnTimeout,
		ResponseHeaderTimeout:  t.ResponseHeaderTimeout,
		ExpectContinueTimeout:  t.ExpectContinueTimeout,
		MaxResponseHeaderBytes: t.MaxResponseHeaderBytes,
		Protocols:              &p,
	}
	if t.TLSClientConfig != nil {
		h.TLSClientConfig = t.TLSClientConfig.Clone()
		h.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	if t.DialTLSContext != nil {
		h.DialTLSContext = t.DialTLSContext
	}
	return h
}

// dialContext is DialContext or what stands for it.
func (t *Transport) dialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if t.DialContext != nil {
		return dialed(t.DialContext(ctx, network, addr))
	}
	d := net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	return d.DialContext(ctx, network, addr)
}

// proxyURL is Proxy or what stands for it.
func (t *Transport) proxyURL(req *http.Request) (*url.URL, error) {
	if t.Proxy != nil {
		return t.Proxy(req)
	}
	return http.ProxyFromEnvironment(req)
}

// h1Marks remembers which servers do not speak HTTP/2, so that they are not asked with every request. They are asked
// again after some time.
type h1Marks struct {
	mu    sync.RWMutex
	until map[Key]time.Time
}

const (
	h1MarkTime = 10 * time.Minute
	maxH1Marks = 1000 // which a program that asks many servers goes beyond; they are asked again
)

func (m *h1Marks) has(k Key) bool {
	m.mu.RLock()
	until, ok := m.until[k]
	m.mu.RUnlock()
	return ok && time.Now().Before(until)
}

func (m *h1Marks) add(k Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.until == nil || len(m.until) >= maxH1Marks {
		m.until = make(map[Key]time.Time)
	}
	m.until[k] = time.Now().Add(h1MarkTime)
}
