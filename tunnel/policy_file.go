package tunnel

import (
	"context"
	"net/netip"
	"os"
	"sync/atomic"
)

// PolicyFile is a Policy of [Rules] that are read from a file, also again while a Proxy uses them.
// Before the first Load it allows nothing.
type PolicyFile struct {
	Path         string
	Ports        Ports // as in Rules
	AllowPrivate bool  // as in Rules

	rules atomic.Pointer[Rules]
}

// Load reads the file. The rules hold for tunnels that are opened and requests that come
// afterwards, also where a connection to the origin is kept, and not for open tunnels. With an
// error, which names the file and the line, the rules stay as they were.
func (f *PolicyFile) Load() error {
	file, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // which was only read
	rules, err := ParseRules(file, f.Path)
	if err != nil {
		return err
	}
	rules.Ports, rules.AllowPrivate = f.Ports, f.AllowPrivate
	f.rules.Store(rules)
	return nil
}

// CheckTarget decides as Rules.
func (f *PolicyFile) CheckTarget(ctx context.Context, t *Target) Decision {
	if rules := f.rules.Load(); rules != nil {
		return rules.CheckTarget(ctx, t)
	}
	return Decision{Rule: f.Path + ": not loaded"}
}

// CheckAddr decides as Rules.
func (f *PolicyFile) CheckAddr(ctx context.Context, t *Target, addr netip.Addr) Decision {
	if rules := f.rules.Load(); rules != nil {
		return rules.CheckAddr(ctx, t, addr)
	}
	return Decision{Rule: f.Path + ": not loaded"}
}
