package watch

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// Options are the flags that say what is watched. The zero value watches nothing.
type Options struct {
	UI          string // address of the live page, such as "127.0.0.1:8000"; "" is none
	ShowSecrets bool   // the page shows values that let their reader in
	Record      string // file of a capture with the keys of TLS; "" is none
	KeyLog      string // file to which the keys of TLS are appended; "" is none
}

// Check finds what cannot work before anything is opened, and says which flag to change.
func (o *Options) Check() error {
	if o.UI == "" {
		if o.ShowSecrets {
			return errors.New("--show-secrets is for the live page: add --ui 127.0.0.1:0")
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(o.UI); err != nil {
		return fmt.Errorf("--ui %s: it wants HOST:PORT, such as 127.0.0.1:8000, or :8000 for this machine alone", o.UI)
	}
	return nil
}

// uiAddress is the address to listen on: without a host it is this machine's own.
func (o *Options) uiAddress() (addr, host string) {
	host, port, err := net.SplitHostPort(o.UI)
	if err != nil || host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), host
}

// isLoopback reports whether only this machine reaches an address.
func isLoopback(a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().IsLoopback()
}
