package reverse

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-go/sluice/tunnel"
)

// Options are the flags of the command.
type Options struct {
	TokenFile   string        // file with the token, the same at both sides
	Drain       time.Duration // for tunnels after the signal to stop
	IdleTimeout time.Duration // after which a tunnel that carries nothing ends; 0: never
	Audit       string        // file for a line for each tunnel, "-" for Out; "" for none
	UDP         bool          // carry UDP too: the inner side to Allow, the outer side for clients of Proxy

	// Of the inner side.
	Inner       bool
	To          string   // URL of the outer side
	CAFile      string   // PEM file with the roots for To; "" is those of the system
	Allow       []string // "host:port" that may be reached
	Connections int

	// Of the outer side.
	Accept            string   // address for inner sides
	CertFile, KeyFile string   // "" with Cleartext
	Cleartext         bool     // accept without TLS, behind something that ends it
	Listen            []string // "address=host:port"
	Proxy             string   // address for clients that ask for targets by HTTP CONNECT; "" for none
	Users             string   // file of users for Proxy; "" lets in everyone

	Out, Err io.Writer // what it does, and its log; nil discards them

	// Adjust, if not nil, changes the proxy of the inner side: tests give it a resolver.
	Adjust func(*tunnel.Proxy)

	Reload <-chan os.Signal // has Audit opened again; may be nil

	// Ready, if not nil, is called once everything listens, with the address of Accept and those of
	// Listen, behind which is that of Proxy, if there is one.
	Ready func(accept net.Addr, listen []net.Addr)
}

// Defaults returns the options of "sluice tunnel" without flags.
func Defaults() Options {
	return Options{Connections: tunnel.DefaultReverseConnections, Drain: 10 * time.Second}
}

// A forward is one of Options.Listen.
type forward struct{ addr, target string }

// check finds what cannot work before anything is opened, and says which flag to change.
func (o *Options) check() error {
	switch {
	case o.Inner && o.Accept != "":
		return errors.New("--reverse is for the inner side and --accept for the outer one: choose one")
	case !o.Inner && o.Accept == "":
		return errors.New("add --reverse --to URL at the inner side, or --accept HOST:PORT at the outer one")
	case o.TokenFile == "":
		return errors.New("--token-file FILE is needed: a line with a secret, the same at both sides")
	case o.Drain < 0:
		return errors.New("--drain must not be negative")
	case o.IdleTimeout < 0:
		return errors.New("--tunnel-idle-timeout must not be negative; 0 is never")
	case o.Inner:
		return o.checkInner()
	case len(o.Listen) == 0 && o.Proxy == "":
		return errors.New("--listen ADDRESS=HOST:PORT is needed, such as 127.0.0.1:2222=db.internal:22, or --proxy ADDRESS")
	case o.Users != "" && o.Proxy == "":
		return errors.New("--users is for --proxy")
	case o.UDP && o.Proxy == "":
		return errors.New("--udp at the outer side is for clients of --proxy")
	case o.Cleartext && (o.CertFile != "" || o.KeyFile != ""):
		return errors.New("--cleartext goes without --cert and --key")
	case !o.Cleartext && (o.CertFile == "" || o.KeyFile == ""):
		return errors.New("--cert FILE and --key FILE are needed, or --cleartext where something else ends TLS")
	}
	for _, l := range o.Listen {
		if _, err := parseForward(l); err != nil {
			return err
		}
	}
	return nil
}

func (o *Options) checkInner() error {
	u, err := url.Parse(o.To)
	switch {
	case o.Proxy != "" || o.Users != "":
		return errors.New("--proxy and --users are for the outer side, with --accept")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("--to %q: it must be https://HOST:PORT, or http:// without TLS", o.To)
	case len(o.Allow) == 0:
		return errors.New("--allow HOST:PORT is needed: nothing else can be reached")
	case o.Connections < 1:
		return errors.New("--connections must be 1 or more")
	}
	_, err = rules(o.Allow)
	return err
}

// rules returns the policy that lets through what is listed and nothing else.
func rules(allow []string) (*tunnel.Rules, error) {
	var text strings.Builder
	for _, a := range allow {
		host, port, err := net.SplitHostPort(a)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 || !plainHost(host) {
			return nil, fmt.Errorf("--allow %q: it must be HOST:PORT, such as db.internal:22", a)
		}
		if addr, err := netip.ParseAddr(host); err == nil {
			host = addr.String()
		}
		fmt.Fprintf(&text, "allow %s port %s private\n", host, port)
	}
	return tunnel.ParseRules(strings.NewReader(text.String()), "--allow")
}

// plainHost reports whether a host is a name or an address, and no pattern of rules.
func plainHost(host string) bool {
	return host != "" && host != "any" && host[0] != '.' && !strings.ContainsAny(host, "*/ \t\r\n#")
}

// parseForward parses "address=host:port".
func parseForward(s string) (forward, error) {
	addr, target, ok := strings.Cut(s, "=")
	_, _, err := net.SplitHostPort(target)
	if _, _, err2 := net.SplitHostPort(addr); !ok || err != nil || err2 != nil {
		return forward{}, fmt.Errorf("--listen %q: it must be ADDRESS=HOST:PORT, such as 127.0.0.1:2222=db.internal:22", s)
	}
	return forward{addr, target}, nil
}

// token reads the token.
func (o *Options) token() (string, error) {
	b, err := os.ReadFile(o.TokenFile)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if len(token) < 16 || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("--token-file %s: it must have one line of 16 characters or more without spaces", o.TokenFile)
	}
	return token, nil
}
