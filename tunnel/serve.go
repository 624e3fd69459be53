package tunnel

import "net/http"

// proxyState is what a Proxy keeps while it serves.
type proxyState struct{}

// ServeHTTP answers one request to the proxy.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	http.Error(w, http.StatusText(http.StatusNotImplemented), http.StatusNotImplemented)
}
