package tunnel

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/dunglas/httpsfv"
	"golang.org/x/net/http/httpproxy"

	"github.com/sluice-go/sluice/internal/proxydial"
)

// UpstreamProxy returns a function for Proxy.Upstream that reaches targets through the proxy at u,
// without those that noProxy lists in the form of the environment variable NO_PROXY: names with the
// names below them, .suffixes, addresses and networks, each also with a port, or * for all.
// Loopback addresses and localhost are never reached through it.
func UpstreamProxy(u *url.URL, noProxy string) func(*Target) (*url.URL, error) {
	const some = "http://proxy.invalid"
	config := httpproxy.Config{HTTPSProxy: some, NoProxy: noProxy}
	find := config.ProxyFunc()
	return func(t *Target) (*url.URL, error) {
		found, err := find(&url.URL{Scheme: "https", Host: net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))})
		if found == nil || err != nil {
			return nil, err
		}
		return u, nil
	}
}

// maxUpstreams bounds the upstream proxies to which a Proxy keeps connections.
const maxUpstreams = 100

// upstreams has the Dialers for upstream proxies, each with its HTTP/2 connections.
type upstreams struct {
	mu    sync.Mutex // guards byURL
	byURL map[string]*Dialer
}

// upstreamDialer returns the Dialer that is shared by the tunnels through the proxy at u.
func (p *Proxy) upstreamDialer(u *url.URL) *Dialer {
	s := &p.state.upstreams
	key := u.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.byURL[key]; d != nil {
		return d
	}
	for old, d := range s.byURL {
		if len(s.byURL) < maxUpstreams {
			break
		}
		delete(s.byURL, old)
		d.CloseIdleConnections() // busy ones close when they have been idle
	}
	if s.byURL == nil {
		s.byURL = make(map[string]*Dialer)
	}
	d := p.newUpstreamDialer(u)
	s.byURL[key] = d
	return d
}

// close closes the connections when their last tunnel has ended.
func (s *upstreams) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.byURL {
		_ = d.Close() // always nil
	}
	clear(s.byURL)
}

func (p *Proxy) newUpstreamDialer(u *url.URL) *Dialer {
	own := *u // the hook may change its own
	return &Dialer{
		Proxy: &own, DialProxy: p.dialUpstream, TLSClientConfig: p.UpstreamTLS,
		DialTimeout: p.dialTimeout(), AnswerTimeout: p.dialTimeout(), GetHeader: p.upstreamHeader,
	}
}

// targetKey finds the *Target in the context in which an upstream proxy is asked for it.
type targetKey struct{}

// upstreamHeader returns the fields of CONNECT to an upstream proxy: Via, by which a loop of
// proxies ends.
func (p *Proxy) upstreamHeader(ctx context.Context, _ string) (http.Header, error) {
	t := ctx.Value(targetKey{}).(*Target)
	version := strings.TrimSuffix(strings.TrimPrefix(t.Proto, "HTTP/"), ".0")
	via := append(slices.Clone(t.Header["Via"]), version+" "+p.init().via)
	return http.Header{"Via": {strings.Join(via, ", ")}}, nil
}

// dialUpstream connects to an upstream proxy, whose address the policy does not judge: the operator
// has chosen it. The error is a *Refusal.
func (p *Proxy) dialUpstream(ctx context.Context, _, addr string) (net.Conn, error) {
	t, err := parseAuthority(addr, 0)
	if err != nil {
		return nil, err
	}
	addrs, err := p.resolve(ctx, &t)
	if err != nil {
		return nil, err
	}
	c, _, err := p.dialAddrs(ctx, "tcp", dialOrder(addrs), t.Port)
	return c, err
}

// dialForwardUpstream is dialUpstream for requests that go to the proxy without a tunnel.
func (p *Proxy) dialForwardUpstream(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := p.dialUpstream(ctx, network, addr)
	if err != nil {
		return nil, upstreamRefusal(addr, err)
	}
	return c, nil
}

// openUpstream reaches a target through another proxy. The error is a *Refusal.
func (p *Proxy) openUpstream(ctx context.Context, t *Target, u *url.URL) (net.Conn, error) {
	addr, err := proxydial.ProxyAddr(u)
	if err != nil || !proxydial.Knows(u.Scheme) {
		return nil, &Refusal{
			Status: http.StatusBadGateway, Type: typeConfiguration, Err: err,
			Details: "an upstream proxy has a scheme of http, https, h2c or socks5, and a host",
		}
	}
	if t.Kind == KindUDP && strings.HasPrefix(u.Scheme, "socks") {
		return nil, &Refusal{
			Status: http.StatusBadGateway, Type: typeConfiguration,
			Details: "UDP is not carried through the upstream proxy " + addr + ", whose scheme is " + u.Scheme,
		}
	}
	d, alone := p.upstreamDialer(u), p.proxyProtocolVersion(t) != 0
	if alone { // the header of the PROXY protocol is for one client
		d = p.newUpstreamDialer(u)
		d.DialProxy = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := p.dialUpstream(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return p.sendHeader(ctx, c, t)
		}
	}
	ctx = context.WithValue(ctx, targetKey{}, t)
	c, err := dialKind(ctx, d, t)
	if alone {
		_ = d.Close() // its connection ends with the tunnel
	}
	if err != nil {
		return nil, upstreamRefusal(addr, err)
	}
	return c, nil
}

// A targetDialer opens tunnels through others: a Dialer, or a ReverseOuter.
type targetDialer interface {
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
	DialUDP(ctx context.Context, addr string) (net.PacketConn, error) // which is a net.Conn, too
}

// dialKind opens a tunnel to a target by DialContext, or for KindUDP by DialUDP.
func dialKind(ctx context.Context, d targetDialer, t *Target) (net.Conn, error) {
	if t.Kind != KindUDP {
		return d.DialContext(ctx, "tcp", t.hostPort())
	}
	c, err := d.DialUDP(ctx, t.hostPort())
	if err != nil {
		return nil, err
	}
	return c.(net.Conn), nil // as both promise
}

// upstreamRefusal is the Refusal of a target that an upstream proxy has not reached, or of that
// proxy.
func upstreamRefusal(addr string, err error) *Refusal {
	if pe, ok := errors.AsType[*ProxyError](err); ok {
		return answerRefusal("the upstream proxy "+addr, pe)
	}
	var r *Refusal
	if certErr, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		r = &Refusal{
			Status: http.StatusBadGateway, Type: "tls_certificate_error",
			Details: "its certificate is not trusted", Err: certErr,
		}
	} else {
		r, _ = classifyDialError(err)
	}
	own := *r
	own.Details = "the upstream proxy " + addr + ": " + r.Details
	own.Err = err
	return &own
}

// answerRefusal is the Refusal for what an upstream proxy has answered. Its status is passed on
// where the client can do something with it; its request for credentials is not the client's
// matter.
func answerRefusal(other string, pe *ProxyError) *Refusal {
	r := &Refusal{Status: http.StatusBadGateway, Type: typeUnavailable, Err: pe}
	switch pe.StatusCode {
	case 0:
		if errors.Is(pe, ErrNoConnectProtocol) {
			r.Type, r.Details = typeConfiguration, other+" opens no tunnels for UDP over HTTP/2 (RFC 9298, RFC 8441)"
			return r
		}
		r.Type, r.Details = typeProtocol, other+" did not answer CONNECT as a proxy does"
		return r
	case http.StatusProxyAuthRequired:
		r.Type, r.Details = typeConfiguration, other+" wants other credentials (407)"
		return r
	case http.StatusForbidden:
		r.Status, r.Type = pe.StatusCode, typeDenied
	case http.StatusGatewayTimeout:
		r.Status, r.Type = pe.StatusCode, typeTimeout
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusLoopDetected:
		r.Status = pe.StatusCode
	}
	status := strings.TrimSpace(fmt.Sprintf("%d %s", pe.StatusCode, http.StatusText(pe.StatusCode)))
	r.Details = other + " answered " + status
	if line := strings.TrimPrefix(firstLine(pe.Body), status+": "); line != "" {
		r.Details += ": " + line
	}
	passStatus(r, pe.ProxyStatus)
	return r
}

// passStatus adds what the upstream proxy says in Proxy-Status (RFC 9209 §2): its members come
// before ours, and the first error is that of the member next to the target.
func passStatus(r *Refusal, value string) {
	list, err := httpsfv.UnmarshalList([]string{value})
	if err != nil || len(list) == 0 || len(value) > 4<<10 {
		return
	}
	again, err := httpsfv.Marshal(list)
	if err != nil {
		return
	}
	r.Header = http.Header{"Proxy-Status": {again}}
	for _, member := range list {
		item, ok := member.(httpsfv.Item)
		if !ok {
			continue
		}
		if v, ok := item.Params.Get("error"); ok {
			if token, ok := v.(httpsfv.Token); ok {
				r.Type = string(token)
			}
			if rcode, ok := item.Params.Get("rcode"); ok {
				r.Rcode, _ = rcode.(string)
			}
			return
		}
	}
}

// firstLine returns the begin of a body for people, nothing of HTML.
func firstLine(body []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	if strings.HasPrefix(line, "<") {
		return ""
	}
	return printable(strings.TrimSpace(line[:min(len(line), 200)]))
}
