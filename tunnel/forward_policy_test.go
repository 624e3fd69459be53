package tunnel

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

// A connection to an origin that is kept is no way to an address that the policy, read again, does
// not allow any more; with content, too. Where it allows the address again, requests go there.
func TestForwardPolicyChanges(t *testing.T) {
	var requests atomic.Int64
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		_, _ = io.Copy(w, r.Body)
	}))
	defer site.Close()
	var open, strict Rules
	open.Ports, open.AllowPrivate, strict.Ports = anyPort, true, anyPort
	policy := &changingPolicy{}
	e := newProxy(t, &Proxy{Policy: policy, Resolver: fakeResolver{"site.example": {"127.0.0.1"}}})
	u := strings.Replace(site.URL, "127.0.0.1", "site.example", 1)
	for _, way := range forwardWays {
		c := e.forwardClient(way)
		for _, test := range []struct {
			rules  *Rules
			body   string
			status int
		}{{&open, "", 200}, {&open, "x", 200}, {&strict, "", 403}, {&open, "", 200}, {&strict, "x", 403}} {
			policy.rules.Store(test.rules)
			before := requests.Load()
			req, err := http.NewRequest(http.MethodPost, u, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			r := e.record()
			if resp.StatusCode != test.status || err != nil || r.Rule == "" ||
				(requests.Load() > before) != (test.status == 200) {
				t.Errorf("%s, %q: %s %q %v, %d requests, record %+v", way, test.body, resp.Status, body, err,
					requests.Load()-before, r)
			}
		}
	}
}

// changingPolicy is the Rules that were stored last.
type changingPolicy struct{ rules atomic.Pointer[Rules] }

func (c *changingPolicy) CheckTarget(ctx context.Context, t *Target) Decision {
	return c.rules.Load().CheckTarget(ctx, t)
}

func (c *changingPolicy) CheckAddr(ctx context.Context, t *Target, addr netip.Addr) Decision {
	return c.rules.Load().CheckAddr(ctx, t, addr)
}
