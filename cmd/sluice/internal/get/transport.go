package get

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/cmd/sluice/internal/inspect"
	"github.com/sluice-go/sluice/cmd/sluice/internal/watch"
)

// dialTimeout bounds the time that a connection takes to be there.
const dialTimeout = 30 * time.Second

// transport returns a Transport as the flags want it; done must be called at the end. p takes
// pushes; nil takes none.
func (o *Options) transport(p *pushes) (t *client.Transport, done func() error, err error) {
	t = &client.Transport{
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: o.Insecure}, //nolint:gosec // the user has asked for it
		DisableCompression: !o.Compress,
		Protocols:          new(http.Protocols),
	}
	t.Protocols.SetHTTP1(!o.H2C)
	t.Protocols.SetHTTP2(!o.HTTP1)
	t.Protocols.SetUnencryptedHTTP2(o.H2C)
	if o.CACert != "" {
		if t.TLSClientConfig.RootCAs, err = roots(o.CACert); err != nil {
			return nil, nil, err
		}
	}
	switch o.Proxy {
	case "":
	case "none":
		t.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	default:
		u, err := url.Parse(o.Proxy)
		if err != nil || u.Host == "" {
			return nil, nil, fmt.Errorf("--proxy %s is not a URL such as http://127.0.0.1:3128", capture.HideURL(o.Proxy))
		}
		t.Proxy = http.ProxyURL(u)
	}
	done, err = o.watch(t, p)
	return t, done, err
}

// watch has the connections of a Transport shown, recorded, and their keys written, as the flags
// say.
func (o *Options) watch(t *client.Transport, p *pushes) (done func() error, err error) {
	logger := log.New(o.Err, "sluice: ", 0)
	w, err := watch.Open(watch.Options{Record: o.Record, KeyLog: o.KeyLog}, "", logger)
	if err != nil {
		return nil, err
	}
	t.TLSClientConfig.KeyLogWriter = w.KeyLogWriter()
	t.DialContext = w.Dial((&net.Dialer{Timeout: dialTimeout}).DialContext)
	if !o.Quiet {
		w.Banner(o.Err)
	}
	var handlers []capture.Handler
	if o.Verbose {
		text, err := inspect.Text(o.Err, o.Color, o.Getenv)
		if err != nil {
			_ = w.Close() // nothing was recorded
			return nil, err
		}
		handlers = append(handlers, text)
	}
	if p != nil {
		t.PushHandler = p
		handlers = append(handlers, p.event)
	}
	if len(handlers) == 0 {
		return w.Close, nil
	}
	live := &capture.Live{Options: capture.Options{ShowSecrets: o.ShowSecrets}, Handler: func(e capture.Event) {
		for _, h := range handlers {
			h(e)
		}
	}}
	t.Tracer = live
	return func() error {
		live.Close()
		return w.Close()
	}, nil
}

// roots are those of the system, and those of a PEM file.
func roots(file string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--cacert %s has no certificate in PEM", file)
	}
	return pool, nil
}

// explain says what a user can do about an error.
func explain(err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w (--cacert FILE trusts it, --insecure takes any certificate)", err)
	case errors.As(err, &name):
		return fmt.Errorf("%w (--insecure takes any certificate)", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no end within --timeout: %w", err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("stopped before its end: %w", err)
	case errors.Is(err, client.ErrHTTP1):
		return fmt.Errorf("%w (without --h2c it is asked with HTTP/1.1)", err)
	}
	return err
}
