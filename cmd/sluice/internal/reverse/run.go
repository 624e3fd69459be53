package reverse

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"github.com/sluice-go/sluice/cmd/sluice/internal/audit"
	"github.com/sluice-go/sluice/tunnel"
)

// Run runs one side until ctx is done, and then drains it.
func Run(ctx context.Context, o Options) error {
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Err == nil {
		o.Err = io.Discard
	}
	if err := o.check(); err != nil {
		return err
	}
	if _, err := o.token(); err != nil {
		return err
	}
	p := &tunnel.Proxy{IdleTimeout: -1, UDP: o.UDP, Logger: o.logger()}
	if o.IdleTimeout > 0 {
		p.IdleTimeout = o.IdleTimeout
	}
	if o.Audit != "" {
		log, err := audit.Open(o.Audit, o.Out)
		if err != nil {
			return err
		}
		defer log.Close()
		p.Audit = log.Func(o.logger())
		stop := o.reopen(log)
		defer stop()
	}
	said := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(said)
		fmt.Fprintf(o.Out, "\nStopping: tunnels have %v to end. Ctrl-C again stops at once.\n", o.Drain)
	})
	run := o.runOuter
	if o.Inner {
		run = o.runInner
	}
	err := run(ctx, p)
	if !stop() {
		<-said
	}
	if err == nil {
		fmt.Fprintln(o.Out, "Stopped.")
	}
	return err
}

// reopen has the audit log opened again at each signal, until stop is called.
func (o *Options) reopen(log *audit.Log) (stop func()) {
	done := make(chan struct{})
	go func() { // ends with stop
		for {
			select {
			case <-o.Reload:
				if err := log.Reopen(); err != nil {
					o.logger().Error("the audit log goes on in the old file", "error", err)
				}
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

func (o *Options) logger() *slog.Logger { return slog.New(slog.NewTextHandler(o.Err, nil)) }

// runInner is the inner side.
func (o *Options) runInner(ctx context.Context, p *tunnel.Proxy) error {
	u, err := url.Parse(o.To)
	if err != nil {
		return err
	}
	policy, err := rules(o.Allow)
	if err != nil {
		return err
	}
	p.Policy = policy
	in := &tunnel.ReverseInner{
		URL: u, Handler: p,
		Token:       func(context.Context) (string, error) { return o.token() },
		Connections: o.Connections, DrainTimeout: o.Drain, Logger: o.logger(),
	}
	if o.Drain == 0 {
		in.DrainTimeout = -1
	}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return fmt.Errorf("--ca: %w", err)
		}
		in.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		if !in.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("--ca %s: there is no certificate in it", o.CAFile)
		}
	}
	if o.Adjust != nil {
		o.Adjust(p)
	}
	fmt.Fprintf(
		o.Out,
		"sluice is the inner side of a reverse tunnel\n\n  to %s, with %d connections\n  allowed: %s\n\nCtrl-C stops.\n",
		o.To,
		o.Connections,
		strings.Join(o.Allow, ", "),
	)
	return cutOff(in.Run(ctx))
}

// cutOff returns nil for the error of a drain that took too long: that is what --drain is for.
func cutOff(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}
