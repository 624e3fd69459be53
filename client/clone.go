package client

import (
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
)

// Clone returns a Transport with the fields of t, and nothing that has come from its use, such as
// connections. Pool, PushCache and the argument of RegisterProtocol hold what belongs to one
// Transport, so the clone has none of them. The clone of a Transport that Configure has made is
// that of a clone of the http.Transport.
func (t *Transport) Clone() *Transport {
	c := new(Transport)
	if t.t1 != nil {
		t1 := t.t1.Clone()
		delete(t1.TLSNextProto, protoTLS)
		delete(t1.TLSNextProto, protoClear)
		var err error
		if c, err = Configure(t1); err != nil {
			panic("BUG: " + err.Error()) // t1 has no other HTTP/2 now
		}
	}
	copyFields(c, t)
	c.Pool, c.PushCache = nil, nil
	if c.TLSClientConfig != nil {
		c.TLSClientConfig = c.TLSClientConfig.Clone()
	}
	c.ProxyConnectHeader = c.ProxyConnectHeader.Clone()
	c.TLSNextProto = maps.Clone(c.TLSNextProto)
	c.HTTP2, c.Protocols = cloned(c.HTTP2), cloned(c.Protocols)
	c.SettingsOrder, c.PseudoHeaderOrder = slices.Clone(c.SettingsOrder), slices.Clone(c.PseudoHeaderOrder)
	return c
}

// cloned returns a pointer to a copy of *p, nil for nil.
func cloned[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// copyFields copies the exported fields of *src that *dst has, too.
func copyFields(dst, src any) {
	to, from := reflect.ValueOf(dst).Elem(), reflect.ValueOf(src).Elem()
	for i := range from.NumField() {
		f := from.Type().Field(i)
		if have, ok := to.Type().FieldByName(f.Name); f.IsExported() && ok && have.Type == f.Type {
			to.FieldByIndex(have.Index).Set(from.Field(i))
		}
	}
}

// forConnect returns a Transport that dials as t1 does, for Connect, which net/http has not.
func (t *Transport) forConnect() *Transport {
	c := new(Transport)
	copyFields(c, t)
	copyFields(c, t.t1)
	c.Pool, c.PushCache, c.PushHandler = nil, nil, nil
	c.TLSNextProto = nil // its "h2" is that of t
	if c.HTTP2 == nil {
		c.HTTP2 = t.HTTP2
	}
	if c.Proxy == nil { // nil in an http.Transport means no proxy
		c.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	}
	if c.TLSHandshakeTimeout == 0 { // zero in an http.Transport means no limit
		c.TLSHandshakeTimeout = -1
	}
	return c
}

// RegisterProtocol has rt send the requests whose URLs have the scheme, as
// http.Transport.RegisterProtocol does: if rt.RoundTrip returns http.ErrSkipAltProtocol, the
// Transport sends the request itself. It panics when the scheme is registered already.
func (t *Transport) RegisterProtocol(scheme string, rt http.RoundTripper) {
	if t.t1 != nil {
		t.t1.RegisterProtocol(scheme, rt)
		return
	}
	for {
		old := t.schemes.Load()
		next := make(map[string]http.RoundTripper)
		if old != nil {
			maps.Copy(next, *old)
		}
		if _, exists := next[scheme]; exists {
			panic("protocol " + scheme + " already registered") // the text of net/http
		}
		next[scheme] = rt
		if t.schemes.CompareAndSwap(old, &next) {
			return
		}
	}
}

// registered returns the transport that was registered for the scheme of a request, nil where there
// is none, or where the request can only be sent with HTTP/1.1.
func (t *Transport) registered(req *http.Request) http.RoundTripper {
	schemes := t.schemes.Load()
	if schemes == nil || req.URL == nil || req.URL.Scheme == "https" && asksForWebSocket(req) {
		return nil
	}
	return (*schemes)[req.URL.Scheme]
}

// CancelRequest cancels a request that is sent with HTTP/1.1, for which there is no response yet.
// As in http.Transport it does nothing for one of HTTP/2.
//
// Deprecated: use http.NewRequestWithContext and cancel the context.
func (t *Transport) CancelRequest(req *http.Request) {
	t.init()
	if t.t1 != nil {
		t.t1.CancelRequest(req)
		return
	}
	t.h1.mu.Lock()
	cancel := t.h1.cancels[req]
	t.h1.mu.Unlock()
	if cancel != nil {
		cancel()
		return
	}
	t.once.h1.CancelRequest(req)
}
