package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sluice-go/sluice/cmd/sluice/internal/listen"
	"github.com/sluice-go/sluice/cmd/sluice/internal/watch"
	"github.com/sluice-go/sluice/tunnel"
)

// Options are the flags of the command. The zero value listens nowhere; the command's own defaults
// are in [Defaults].
type Options struct {
	listen.Options

	ProxyProtocol []string // networks of load balancers that send PROXY protocol headers

	Ports        string // that may be reached where a line of Policy names none
	AllowPrivate bool   // addresses that are not public may be reached
	Policy       string // file of rules; "" lets everyone reach Ports of public addresses
	Users        string // file of users and hashes of bcrypt, for Basic
	DigestUsers  string // file of users and hashes, for Digest
	ClientCA     string // PEM file of the CAs of client certificates
	Upstream     string // URL of the proxy through which targets are reached; "" is none
	NoProxy      string // targets that are reached without Upstream
	SendHeader   int    // version of the PROXY protocol whose header targets get; 0 is none
	UDP          bool   // clients may open tunnels for UDP (RFC 9298)
	Audit        string // file for a line of JSON for each tunnel; "-" is Out, "" is none

	Intercept bool     // end the TLS of tunnels
	CADir     string   // directory of the CA for Intercept
	Pass      []string // hosts whose TLS is relayed untouched
	Insecure  []string // hosts whose certificates are not verified

	ClientCerts []string // HOST=FILE, for origins that ask for a certificate
	SetHeader   string   // file of fields to set in requests, by host; "" is none

	DialTimeout time.Duration // for finding and reaching a target
	IdleTimeout time.Duration // of a tunnel that carries nothing; 0 is no limit
	MaxAge      time.Duration // of a tunnel; 0 is no limit
	MaxPerUser  int           // tunnels of one user, or client address; 0 is no limit
	MaxStreams  int           // concurrent requests and tunnels of an HTTP/2 connection
	Drain       time.Duration // for tunnels after the signal to stop

	Watch watch.Options // live page and capture

	Verbose bool // log every tunnel and request to Err

	Out io.Writer // what to try, and what happens; nil discards it
	Err io.Writer // the log; nil discards it

	// Reload tells to read Policy, Users and SetHeader, and to open Audit, again.
	Reload <-chan os.Signal

	// Ready, if not nil, is called once when both listeners accept; an address is nil when its
	// listener is off.
	Ready func(https, http net.Addr)

	// Adjust, if not nil, changes the proxy before it serves: tests give it a resolver.
	Adjust func(*tunnel.Proxy)
}

// Defaults returns the options of "sluice proxy" without flags.
func Defaults() Options {
	o := Options{
		Ports: "443", DialTimeout: tunnel.DefaultDialTimeout, IdleTimeout: tunnel.DefaultIdleTimeout,
		MaxStreams: 1000, Drain: 10 * time.Second,
	}
	o.HTTP = "127.0.0.1:3128"
	return o
}

// check finds what cannot work before anything is opened, and says which flag to change.
func (o *Options) check() error {
	for _, check := range []func() error{o.Options.Check, o.Watch.Check} {
		if err := check(); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		flag string
		n    int64
	}{
		{"--dial-timeout", int64(o.DialTimeout)},
		{"--tunnel-idle-timeout", int64(o.IdleTimeout)},
		{"--max-tunnel-age", int64(o.MaxAge)},
		{"--max-tunnels-per-user", int64(o.MaxPerUser)},
		{"--max-streams", int64(o.MaxStreams)},
		{"--drain", int64(o.Drain)},
	} {
		if f.n < 0 {
			return fmt.Errorf("%s must not be negative", f.flag)
		}
	}
	if o.SendHeader < 0 || o.SendHeader > 2 {
		return fmt.Errorf("--send-proxy-protocol is 1 or 2, not %d", o.SendHeader)
	}
	if o.ClientCA != "" && o.HTTPS == "" {
		return errors.New("--client-ca is for clients of the TLS listener: add --https HOST:PORT")
	}
	if o.Intercept {
		return nil
	}
	for _, f := range []struct {
		flag string
		set  bool
	}{
		{"--ca-dir", o.CADir != ""},
		{"--pass-through", len(o.Pass) > 0},
		{"--insecure-host", len(o.Insecure) > 0},
		{"--client-cert", len(o.ClientCerts) > 0},
		{"--set-header", o.SetHeader != ""},
	} {
		if f.set {
			return fmt.Errorf("%s is for a proxy that ends TLS: add --intercept", f.flag)
		}
	}
	return nil
}

// hasUsers reports whether only users are let in.
func (o *Options) hasUsers() bool { return o.Users != "" || o.DigestUsers != "" || o.ClientCA != "" }

// trusted returns the networks of ProxyProtocol.
func (o *Options) trusted() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, s := range o.ProxyProtocol {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			addr, addrErr := netip.ParseAddr(s)
			if addrErr != nil {
				return nil, fmt.Errorf("--proxy-protocol wants networks or addresses such as 10.0.0.0/8, not %q", s)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// upstreamSchemes are the schemes of Upstream.
var upstreamSchemes = []string{"http", "https", "h2c", "socks5", "socks5h"}

// upstream returns the URL of Upstream, nil for none.
func (o *Options) upstream() (*url.URL, error) {
	if o.Upstream == "" {
		return nil, nil
	}
	u, err := url.Parse(o.Upstream)
	switch {
	case err != nil: // the error has the URL, with its password
		return nil, errors.New("--upstream is no URL: it wants http://HOST:PORT, https://, h2c:// or socks5://")
	case !slices.Contains(upstreamSchemes, u.Scheme):
		return nil, fmt.Errorf("--upstream %s: the scheme is one of %s", u.Redacted(), strings.Join(upstreamSchemes, ", "))
	case u.Hostname() == "":
		return nil, fmt.Errorf("--upstream %s names no host", u.Redacted())
	}
	return u, nil
}
