package proxydial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/sluice-go/sluice/conn/header"
)

// udpProtocol is the upgrade token, and the :protocol, of a tunnel for UDP (RFC 9298).
const udpProtocol = "connect-udp"

// ErrNoConnectProtocol is the error of a proxy that speaks HTTP/2 and does not offer extended
// CONNECT (RFC 8441 §3), without which there are no tunnels for UDP.
var ErrNoConnectProtocol = errors.New("the proxy does not offer extended CONNECT (RFC 8441)")

// errNotUpgraded is the error of an answer of HTTP/1.1 that is 2xx.
var errNotUpgraded = errors.New("the answer is not 101 (Switching Protocols)")

// errWithContent is the error of an answer that a stream of capsules cannot follow (RFC 9297 §3.2).
var errWithContent = errors.New("the answer that opens the tunnel announces content")

// DialUDP opens a tunnel for UDP to addr, "host:port", and returns the stream of capsules, and addr
// in the form in which the proxy was asked for it.
func (d *Dialer) DialUDP(ctx context.Context, addr string) (net.Conn, string, error) {
	target, err := checkTarget(addr)
	if err != nil {
		return nil, "", err
	}
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	switch d.Proxy.Scheme {
	case "http", "https", "h2c":
	default:
		return nil, "", fmt.Errorf("proxy %s: the scheme is none of http, https and h2c, by which UDP goes",
			d.Proxy.Redacted())
	}
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return nil, "", err
	}
	x := &exchange{d: d, target: target, udpPath: "/.well-known/masque/udp/" +
		strings.ReplaceAll(url.PathEscape(host), ":", "%3A") + "/" + port + "/"}
	nc, err := x.run(ctx)
	return nc, target, err
}

// methodOverHTTP1 returns the method of the request as HTTP/1.1 has it.
func (x *exchange) methodOverHTTP1() string {
	if x.udpPath != "" {
		return http.MethodGet
	}
	return http.MethodConnect
}

// udpRequest returns the request for a tunnel for UDP as HTTP/1.1 has it (RFC 9298 §3.2).
func (x *exchange) udpRequest(h http.Header) *http.Request {
	h["Connection"] = []string{"Upgrade"}
	h["Upgrade"] = []string{udpProtocol}
	h["Capsule-Protocol"] = []string{"?1"}
	return &http.Request{Method: http.MethodGet, URL: &url.URL{Opaque: x.udpPath}, Host: x.d.Proxy.Host, Header: h}
}

// pseudoFields returns the pseudo-header fields of a request (RFC 9113 §8.5, RFC 9298 §3.4).
func (x *exchange) pseudoFields(req *http.Request) []header.Field {
	fields := []header.Field{{Name: ":method", Value: http.MethodConnect}}
	if x.udpPath != "" {
		scheme := "https"
		if x.d.Proxy.Scheme == "h2c" {
			scheme = "http"
		}
		fields = append(fields,
			header.Field{Name: ":protocol", Value: udpProtocol},
			header.Field{Name: ":scheme", Value: scheme},
			header.Field{Name: ":path", Value: x.udpPath})
	}
	return append(fields, header.Field{Name: ":authority", Value: req.Host})
}

// opened reports whether a response has opened the tunnel. The error says why one that looks like
// it has not.
func (x *exchange) opened(resp *http.Response) (bool, error) {
	status := resp.StatusCode
	switch {
	case x.udpPath == "":
		return status/100 == 2, nil
	case resp.ProtoMajor == 1 && status/100 == 2:
		return false, errNotUpgraded
	case status != http.StatusSwitchingProtocols && status/100 != 2:
		return false, nil
	case resp.ProtoMajor == 1 && (len(resp.Header["Upgrade"]) != 1 ||
		!strings.EqualFold(resp.Header["Upgrade"][0], udpProtocol)):
		return false, errSwitched
	}
	for _, name := range []string{"Content-Length", "Content-Type", "Transfer-Encoding"} {
		if len(resp.Header[name]) > 0 {
			return false, errWithContent
		}
	}
	return true, nil
}
