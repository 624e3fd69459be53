package tunnel

import (
	"context"
	"net"
	"net/http"
)

// proxyState is what a Proxy keeps while it serves.
type proxyState struct{}

// ServeHTTP answers one request to the proxy.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	http.Error(w, http.StatusText(http.StatusNotImplemented), http.StatusNotImplemented)
}

// open finds, checks and reaches a target. The error is a *Refusal. It sets Addr, Upstream and Rule of rec.
func (p *Proxy) open(ctx context.Context, t *Target, rec *Record) (net.Conn, error) {
	return nil, &Refusal{Status: http.StatusNotImplemented}
}
