package tunnel

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestUpstreamLoop has proxies be each other's upstream, and one its own: a tunnel is asked for
// once at each.
func TestUpstreamLoop(t *testing.T) {
	for _, n := range []int{1, 2} {
		for _, scheme := range []string{"http", "h2c", "https"} {
			proxies := make([]*proxyEnv, n)
			for i := range proxies {
				p := new(Proxy)
				proxies[i] = newProxy(t, p)
				p.Upstream = func(*Target) (*url.URL, error) {
					next := proxies[(i+1)%n]
					addr := map[bool]string{true: next.tls, false: next.plain}[scheme == "https"]
					return &url.URL{Scheme: scheme, Host: addr}, nil
				}
			}
			for i := range proxies {
				proxies[i].p.UpstreamTLS = proxies[(i+1)%n].clientTLS()
			}
			for _, way := range allWays {
				before := proxies[0].p.Stats().Tunnels
				c, resp := proxies[0].dial(way, "origin.test:443")
				if c != nil || resp.StatusCode != http.StatusLoopDetected ||
					!strings.Contains(resp.Header.Get("Proxy-Status"), "error=proxy_loop_detected") {
					t.Errorf("%s, %d over %s: %+v", way, n, scheme, resp)
				}
				if asked := proxies[0].p.Stats().Tunnels - before; asked != 2 {
					t.Errorf("%s, %d over %s: asked %d times", way, n, scheme, asked)
				}
			}
		}
	}
}
