package tunnel

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

const (
	// udpProtocol is the upgrade token and the :protocol of RFC 9298.
	udpProtocol = "connect-udp"
	// udpPrefix is the start of the default URI template (RFC 9298 §2), behind which host, port and
	// a slash follow.
	udpPrefix = "/.well-known/masque/udp/"
	// capsuleField has the value ?1 in messages that begin a stream of capsules (RFC 9297 §3.4).
	capsuleField = "Capsule-Protocol"
)

// checkUDPRequest says what makes a request for a tunnel for UDP malformed (RFC 9298 §§3.2, 3.4,
// RFC 9297 §3.2).
func checkUDPRequest(r *http.Request) error {
	if r.ProtoMajor == 1 {
		switch {
		case r.ProtoMinor == 0:
			return errors.New("HTTP/1.0 has no upgrades")
		case r.Method != http.MethodGet:
			return fmt.Errorf("the method is %s, and must be GET", r.Method)
		case len(r.Header["Upgrade"]) != 1 || !strings.EqualFold(r.Header["Upgrade"][0], udpProtocol):
			return errors.New("there must be one Upgrade field, which is connect-udp alone")
		}
	}
	if name := contentField(r.Header); name != "" {
		return fmt.Errorf("a request for a tunnel has no %s", name)
	}
	if r.ContentLength > 0 || len(r.TransferEncoding) > 0 {
		return errors.New("a request for a tunnel has no content")
	}
	return nil
}

// contentField returns the name of a field that announces content, "" for none: a message that
// begins a stream of capsules has none of them (RFC 9297 §3.2).
func contentField(h http.Header) string {
	for _, name := range []string{"Content-Length", "Content-Type", "Transfer-Encoding"} {
		if len(h[name]) > 0 {
			return name
		}
	}
	return ""
}

// udpTarget returns the host and port that a request for a tunnel for UDP names in its path, which
// must be "/.well-known/masque/udp/{target_host}/{target_port}/" (RFC 9298 §2). The host is in
// lower case, without a dot at the end; an IP address is in its usual form.
func udpTarget(r *http.Request) (host string, port uint16, err error) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), udpPrefix)
	if !ok {
		return "", 0, fmt.Errorf("the path is not %s{target_host}/{target_port}/", udpPrefix)
	}
	rawHost, rawPort, ok := strings.Cut(rest, "/")
	rawPort, slash := strings.CutSuffix(rawPort, "/")
	if !ok || !slash {
		return "", 0, errors.New("the path lacks a port, or the slash behind it")
	}
	if host, err = url.PathUnescape(rawHost); err == nil {
		host, err = udpHost(host)
	}
	if err != nil {
		return "", 0, err
	}
	if rawPort, err = url.PathUnescape(rawPort); err != nil {
		return "", 0, err
	}
	if port, err = parsePort(rawPort); err != nil {
		return "", 0, err
	}
	return host, port, nil
}

// udpHost returns a target_host in its usual form. Other than in an authority, an IPv6 address has
// no brackets.
func udpHost(host string) (string, error) {
	switch {
	case strings.HasPrefix(host, "["):
		return "", errors.New("an address in a path has no brackets")
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	host, _, err := canonicalHost(host)
	return host, err
}

// udpPath is the path by which a tunnel to a host and a port is asked for.
func udpPath(host, port string) string {
	host = strings.ReplaceAll(url.PathEscape(host), ":", "%3A")
	return udpPrefix + host + "/" + url.PathEscape(port) + "/"
}
