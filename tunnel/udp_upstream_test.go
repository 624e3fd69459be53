package tunnel

import (
	"crypto/tls"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"
)

// udpThrough returns a proxy for UDP that reaches targets through another one, in a way.
func udpThrough(t *testing.T, way string, behind *proxyEnv) *proxyEnv {
	t.Helper()
	u := behind.udpDialer(way).Proxy
	return newProxy(t, &Proxy{
		UDP: true, UpstreamTLS: behind.clientTLS(), Upstream: func(*Target) (*url.URL, error) { return u, nil },
	})
}

// upstreamWays are those to an upstream proxy; one on TLS is asked over HTTP/2.
var upstreamWays = []string{overHTTP1, overH2, overH2C}

// UDP goes through two proxies, in each way between them, and both keep a record.
func TestUDPThroughUpstream(t *testing.T) {
	target := echoUDP(t, "127.0.0.1:0", func(b []byte) []byte { return b })
	for _, way := range upstreamWays {
		behind := newProxy(t, &Proxy{UDP: true})
		front := udpThrough(t, way, behind)
		for _, clientWay := range []string{overHTTP1, overH2} {
			pc, err := front.udpDialer(clientWay).DialUDP(t.Context(), target)
			if err != nil {
				t.Fatalf("%s: %v", way, err)
			}
			_ = pc.SetDeadline(time.Now().Add(testTimeout))
			for _, n := range []int{1, 0, 1200, 60000} {
				c, want := pc.(io.ReadWriter), strings.Repeat("x", n)
				if _, err := c.Write([]byte(want)); err != nil {
					t.Fatal(err)
				}
				b := make([]byte, 1<<16)
				if got, err := c.Read(b); err != nil || string(b[:got]) != want {
					t.Fatalf("%s: %d of %d octets, %v", way, got, n, err)
				}
			}
			_ = pc.Close()
			for _, e := range []*proxyEnv{front, behind} {
				r := e.record()
				if r.Kind != KindUDP || r.Target != target || r.Sent != 61201 || r.Received != 61201 || r.End != EndClosed ||
					(r.Upstream == "") != (e == behind) {
					t.Errorf("%s: the record is %+v", way, r)
				}
			}
		}
	}
}

// The end of the tunnel at the other proxy is the end here: in good order at its idle limit, a
// reset where the port is closed.
func TestUDPThroughUpstreamEnds(t *testing.T) {
	refuses := refusesUDP(t)
	target := echoUDP(t, "127.0.0.1:0", func(b []byte) []byte { return b })
	for _, way := range []string{overH2, overH2C} {
		limits := map[string]time.Duration{target: 100 * time.Millisecond, refuses: -1}
		for addr, want := range map[string]string{target: EndClosed, refuses: EndTargetReset} {
			behind := newProxy(t, &Proxy{UDP: true, IdleTimeout: limits[addr]})
			front := udpThrough(t, way, behind)
			pc, err := front.udpDialer(overH2).DialUDP(t.Context(), addr)
			if err != nil {
				t.Fatal(err)
			}
			_ = pc.SetDeadline(time.Now().Add(testTimeout))
			c := pc.(io.ReadWriter)
			_, _ = c.Write([]byte("anyone?")) // the tunnel may have ended
			for err = nil; err == nil; {
				_, err = c.Read(make([]byte, 100))
			}
			if errors.Is(err, io.EOF) != (want == EndClosed) {
				t.Errorf("%s, %s: %v", way, want, err)
			}
			if r := front.record(); r.End != want {
				t.Errorf("%s, %s: %+v", way, want, r)
			}
			_ = pc.Close()
		}
	}
}

// An upstream proxy that carries no UDP is named in the refusal, and so is a loop.
func TestUDPThroughUpstreamRefused(t *testing.T) {
	for _, way := range upstreamWays {
		without := newProxy(t, &Proxy{})
		front := udpThrough(t, way, without)
		_, err := front.udpDialer(overH2).DialUDP(t.Context(), "origin.test:443")
		var pe *ProxyError
		if !errors.As(err, &pe) || pe.StatusCode != 403 || !strings.Contains(string(pe.Body), "opens no tunnels for UDP") {
			t.Errorf("%s: %v, %s", way, err, pe.Body)
		}
		loop := newProxy(t, &Proxy{UDP: true})
		own := loop.udpDialer(way).Proxy
		loop.p.UpstreamTLS = loop.clientTLS()
		loop.p.Upstream = func(*Target) (*url.URL, error) { return own, nil }
		_, err = loop.udpDialer(overH2).DialUDP(t.Context(), "origin.test:443")
		if !errors.As(err, &pe) || pe.StatusCode != 508 || !strings.Contains(pe.ProxyStatus, typeLoop) {
			t.Errorf("%s: %v", way, err)
		}
	}
	unable := startTestProxy(t, true, "h2", nil) // without extended CONNECT
	front := newProxy(t, &Proxy{UDP: true, UpstreamTLS: &tls.Config{RootCAs: unable.pool}})
	front.p.Upstream = func(*Target) (*url.URL, error) { return &url.URL{Scheme: "https", Host: unable.addr}, nil }
	_, err := front.udpDialer(overH2).DialUDP(t.Context(), "origin.test:443")
	var pe *ProxyError
	if !errors.As(err, &pe) || !strings.Contains(string(pe.Body), unable.addr+" opens no tunnels for UDP over HTTP/2") {
		t.Errorf("%v", err)
	}
}
