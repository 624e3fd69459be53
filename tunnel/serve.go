package tunnel

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-go/sluice/internal/syntax"
	"github.com/sluice-go/sluice/server"
)

// ServeHTTP answers one request to the proxy.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &request{p: p, w: w, r: r, kind: kindOf(r)}
	x.target = &Target{Kind: x.kind, Proto: protoOf(r), Header: r.Header}
	x.target.Client, _ = netip.ParseAddrPort(r.RemoteAddr) // zero for a Unix socket
	x.rec = &Record{
		Time: time.Now(), Client: x.target.Client, Proto: x.target.Proto, Kind: x.kind,
		Target: bounded(authorityOf(r)),
	}
	defer func() {
		if !x.handedOver {
			x.finish()
		}
	}()
	if err := x.admit(); err != nil {
		p.refuse(w, r, x.rec, err)
		return
	}
	switch x.kind {
	case KindTunnel:
		x.serveConnect()
	case KindWebSocket:
		x.serveWebSocket()
	case KindUDP:
		x.serveUDP()
	default:
		x.forward()
	}
}

// request is a request to the proxy, until its record is complete.
type request struct {
	p      *Proxy
	w      http.ResponseWriter
	r      *http.Request
	kind   Kind
	target *Target
	rec    *Record

	held       *hold // of the limits, nil where it does not count
	handedOver bool  // another goroutine calls finish
}

// finish ends the request for the limits and the audit. Shutdown returns when the last record has
// been written.
func (x *request) finish() {
	x.p.leave(x.held, x.rec)
	defer x.p.recorded()
	x.rec.Duration = time.Since(x.rec.Time)
	if x.p.Audit != nil {
		x.p.Audit(x.rec)
	}
}

// admit finds out what is wanted, and by which user, and takes a place within the limits.
func (x *request) admit() error {
	if err := x.findTarget(); err != nil {
		return err
	}
	t := x.target
	if t.Host != "" {
		x.rec.Target = t.hostPort()
	}
	if x.p.Auth != nil {
		user, refusal := x.p.Auth.Authenticate(x.r)
		if refusal != nil {
			return refusal
		}
		t.User, x.rec.User = user, user
	}
	var err error
	x.held, err = x.p.enter(x)
	return err
}

// findTarget sets host and port of the target.
func (x *request) findTarget() error {
	r, t := x.r, x.target
	switch x.kind {
	case KindUDP:
		return x.findUDPTarget()
	case KindTunnel:
		if r.ContentLength > 0 || len(r.TransferEncoding) > 0 {
			return badRequest("a CONNECT request has no content (RFC 9110 §9.3.6)")
		}
		return t.set(r.RequestURI, 0)
	}
	if r.Method == http.MethodConnect && x.kind == KindRequest {
		return &Refusal{
			Status: http.StatusNotImplemented, Type: typeRequestError,
			Details: "extended CONNECT is for websocket and connect-udp (RFC 8441 §4)",
		}
	}
	scheme, authority := x.absolute()
	if scheme == "" {
		return &Refusal{
			Status: http.StatusMisdirectedRequest, Type: typeRequestError,
			Details: "this is a proxy: it takes CONNECT, and requests with an absolute URL",
		}
	}
	port := uint16(80)
	switch {
	case scheme == "http" || scheme == "ws" && x.kind == KindWebSocket:
	case x.kind == KindWebSocket && (scheme == "https" || scheme == "wss"):
		port = 443
	case scheme == "https":
		return &Refusal{
			Status: http.StatusMisdirectedRequest, Type: typeRequestError,
			Details: "this is a proxy: https goes through a tunnel, which CONNECT opens",
		}
	default:
		return badRequest("the scheme %q is not one that the proxy knows", bounded(scheme))
	}
	return t.set(authority, port)
}

// set sets host and port.
func (t *Target) set(authority string, defaultPort uint16) error {
	parsed, err := parseAuthority(authority, defaultPort)
	t.Host, t.Addr, t.Port = parsed.Host, parsed.Addr, parsed.Port
	return err
}

// hostPort returns host and port, as for net.Dial.
func (t *Target) hostPort() string { return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port))) }

// absolute returns scheme and authority of what the request asks for, "" for one of the proxy
// itself.
func (x *request) absolute() (scheme, authority string) {
	r := x.r
	if r.ProtoMajor < 2 {
		if !r.URL.IsAbs() {
			return "", ""
		}
		authority = r.URL.Host
		if r.URL.User != nil {
			authority = "@" // which no authority may have (RFC 9110 §4.2.4)
		}
		return strings.ToLower(r.URL.Scheme), authority
	}
	info, _ := server.InfoOf(x.w)
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local != nil && local.String() == r.Host {
		return "", ""
	}
	return strings.ToLower(info.Scheme), r.Host
}

// protocolField is where a Header has the pseudo-header field of extended CONNECT.
const protocolField = ":protocol"

// isExtended reports whether a CONNECT request is an extended one (RFC 8441 §4).
func isExtended(r *http.Request) bool { return len(r.Header[protocolField]) > 0 }

// kindOf says what a request is for.
func kindOf(r *http.Request) Kind {
	protocol := ""
	switch {
	case r.Method == http.MethodConnect && !isExtended(r):
		return KindTunnel
	case r.Method == http.MethodConnect:
		protocol = r.Header[protocolField][0]
	case r.ProtoMajor < 2 && syntax.HasToken(r.Header["Connection"], "upgrade"):
		protocol = r.Header.Get("Upgrade")
	}
	switch {
	case strings.EqualFold(protocol, "websocket"):
		return KindWebSocket
	case strings.EqualFold(protocol, udpProtocol):
		return KindUDP
	}
	return KindRequest
}

// authorityOf returns what a request is for, as the client has written it.
func authorityOf(r *http.Request) string {
	if r.Method == http.MethodConnect && r.RequestURI != "" && !isExtended(r) {
		return withoutUserinfo(r.RequestURI)
	}
	return r.Host
}

// withoutUserinfo returns an authority without what must not get into a log: a client that puts a
// user and a password there means a secret.
func withoutUserinfo(authority string) string {
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		return "..." + authority[i:]
	}
	return authority
}

// protoOf returns the protocol for Target and Record.
func protoOf(r *http.Request) string {
	if r.ProtoMajor == 2 {
		return "HTTP/2.0"
	}
	return "HTTP/1.1"
}

// bounded makes what a client has sent short enough for a line.
func bounded(s string) string {
	if len(s) > 300 {
		return s[:300] + "..."
	}
	return s
}
