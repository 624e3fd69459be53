package tunnel

import (
	"context"
	"net"
	"net/http"
	"net/url"
)

// openUpstream reaches a target through another proxy. The error is a *Refusal.
func (p *Proxy) openUpstream(ctx context.Context, t *Target, u *url.URL) (net.Conn, error) {
	return nil, &Refusal{
		Status: http.StatusBadGateway, Type: "proxy_configuration_error",
		Details: "this proxy reaches no other proxy of the scheme " + u.Scheme,
	}
}
