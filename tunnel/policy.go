package tunnel

import (
	"context"
	"net/http"
	"net/netip"
)

// A Policy decides which targets may be reached. Its methods are called by any number of
// goroutines at the same time.
type Policy interface {
	// CheckTarget decides by name, port and user, before the name is resolved.
	CheckTarget(ctx context.Context, t *Target) Decision

	// CheckAddr decides about one of the addresses of a target, before it is dialled. It is
	// called for every address, also for a Host that is one.
	CheckAddr(ctx context.Context, t *Target, addr netip.Addr) Decision
}

// Decision is what a Policy says.
type Decision struct {
	Allow bool
	Rule  string // names the rule that decided, for the client, the log and the audit
}

// Resolver finds the addresses of a name. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// An Authenticator tells the user of a request to the proxy, or says why there is none: the
// Refusal is usually 407 with Proxy-Authenticate fields (RFC 9110 §11.7).
type Authenticator interface {
	Authenticate(r *http.Request) (user string, refusal *Refusal)
}
