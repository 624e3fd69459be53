package proxy

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/sluice-go/sluice/cmd/sluice/internal/audit"
	"github.com/sluice-go/sluice/tunnel"
)

// config is a proxy and what it is made of.
type config struct {
	proxy  *tunnel.Proxy
	policy *tunnel.PolicyFile // nil where there is no file
	users  []usersFile
	roots  *x509.CertPool // of client certificates; nil where none are asked for
	audit  *audit.Log     // nil where there is none
	ca     *tunnel.CA     // nil without --intercept
	fields atomic.Pointer[tunnel.FieldRules]
	o      *Options
	log    *slog.Logger
}

// newConfig makes a proxy without policy, upstream, users, interception and audit.
func newConfig(o *Options) *config {
	c := &config{o: o, log: slog.New(slog.NewTextHandler(o.Err, nil))}
	c.proxy = &tunnel.Proxy{
		UDP: o.UDP, DialTimeout: o.DialTimeout, IdleTimeout: o.IdleTimeout, MaxTunnelAge: o.MaxAge,
		MaxTunnelsPerUser: o.MaxPerUser, Logger: c.log,
	}
	if o.IdleTimeout == 0 {
		c.proxy.IdleTimeout = -1
	}
	if o.SendHeader != 0 {
		c.proxy.ProxyProtocol = func(*tunnel.Target) int { return o.SendHeader }
	}
	return c
}

// configure makes the proxy that o describes.
func configure(o *Options) (*config, error) {
	c := newConfig(o)
	for _, step := range []func() error{c.setPolicy, c.setUpstream, c.setUsers, c.setIntercept, c.setAudit} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if o.Adjust != nil {
		o.Adjust(c.proxy)
	}
	return c, nil
}

// setPolicy sets the policy.
func (c *config) setPolicy() error {
	ports, err := tunnel.ParsePorts(c.o.Ports)
	if err != nil {
		return fmt.Errorf("--ports: %w", err)
	}
	if c.o.Policy == "" {
		c.proxy.Policy = &tunnel.Rules{Ports: ports, AllowPrivate: c.o.AllowPrivate}
		return nil
	}
	c.policy = &tunnel.PolicyFile{Path: c.o.Policy, Ports: ports, AllowPrivate: c.o.AllowPrivate}
	c.proxy.Policy = c.policy
	return flagError("--policy", c.policy.Load())
}

// flagError says which flag an error is about; nil stays nil.
func flagError(flag string, err error) error {
	if err == nil {
		return nil
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%s: cannot read %s: %w", flag, path.Path, path.Err)
	}
	return fmt.Errorf("%s: %w", flag, err)
}

// setUpstream sets the proxy behind this one.
func (c *config) setUpstream() error {
	u, err := c.o.upstream()
	if err != nil || u == nil {
		return err
	}
	c.proxy.Upstream = tunnel.UpstreamProxy(u, c.o.NoProxy)
	return nil
}

// setIntercept sets what ends the TLS of tunnels.
func (c *config) setIntercept() error {
	o := c.o
	if !o.Intercept {
		return nil
	}
	dir, err := caDir(o)
	if err != nil {
		return err
	}
	if c.ca, err = tunnel.LoadCA(dir); err != nil {
		return fmt.Errorf("--ca-dir %s: %w", dir, err)
	}
	c.proxy.Intercept = &tunnel.Interceptor{CA: c.ca, PassThrough: o.Pass, Insecure: o.Insecure}
	if err := c.setClientCerts(); err != nil {
		return err
	}
	if o.SetHeader == "" {
		return nil
	}
	c.proxy.Intercept.SetFields = func(ctx context.Context, t *tunnel.Target, host string) (http.Header, error) {
		return c.fields.Load().Fields(ctx, t, host)
	}
	return c.loadFields()
}

// setClientCerts has origins that ask for a certificate be shown that of --client-cert.
func (c *config) setClientCerts() error {
	var files []tunnel.ClientCertFile
	for _, s := range c.o.ClientCerts {
		host, file, found := strings.Cut(s, "=")
		if !found {
			return fmt.Errorf("--client-cert wants HOST=FILE, not %q", s)
		}
		files = append(files, tunnel.ClientCertFile{Host: host, File: file})
	}
	find, err := tunnel.ClientCertFiles(files...)
	if err != nil {
		return flagError("--client-cert", err)
	}
	c.proxy.Intercept.ClientCertificate = find
	return nil
}

// loadFields reads the file of --set-header.
func (c *config) loadFields() error {
	rules, err := tunnel.LoadFieldRules(c.o.SetHeader)
	if err != nil {
		return flagError("--set-header", err)
	}
	c.fields.Store(rules)
	return nil
}

// caDir returns the directory of the CA.
func caDir(o *Options) (string, error) {
	if o.CADir != "" {
		return o.CADir, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("there is no directory for the CA: %w. Name one with --ca-dir DIR", err)
	}
	return filepath.Join(dir, "sluice"), nil
}

// setAudit opens the audit log, and has it and the log told of each tunnel.
func (c *config) setAudit() error {
	if c.o.Audit != "" {
		log, err := audit.Open(c.o.Audit, c.o.Out)
		if err != nil {
			return err
		}
		c.audit = log
	}
	if c.audit == nil && !c.o.Verbose {
		return nil
	}
	write := func(*tunnel.Record) {}
	if c.audit != nil {
		write = c.audit.Func(c.log)
	}
	c.proxy.Audit = func(r *tunnel.Record) {
		if c.o.Verbose {
			logRecord(c.log, r)
		}
		write(r)
	}
	return nil
}

// reload reads the files again. What has an error stays as it was.
func (c *config) reload() {
	again := func(what string, load func() error) {
		if err := load(); err != nil {
			c.log.Error("what "+what+" says stays as it was", "error", err)
		} else {
			c.log.Info("read again", "flag", what)
		}
	}
	if c.policy != nil {
		again("--policy", func() error { return flagError("--policy", c.policy.Load()) })
	}
	for _, u := range c.users {
		again(u.flag, u.load)
	}
	if c.fields.Load() != nil {
		again("--set-header", c.loadFields)
	}
	if c.audit != nil {
		again("--audit", c.audit.Reopen)
	}
}

// close closes what configure has opened.
func (c *config) close() {
	if c.audit != nil {
		c.audit.Close()
	}
}
