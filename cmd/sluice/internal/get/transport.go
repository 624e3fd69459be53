package get

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/sluice-go/sluice/client"
)

// transport returns a Transport as the flags want it; done must be called at the end.
func (o *Options) transport() (t *client.Transport, done func() error, err error) {
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
			return nil, nil, fmt.Errorf("--proxy %s is not a URL such as http://127.0.0.1:3128", o.Proxy)
		}
		t.Proxy = http.ProxyURL(u)
	}
	done = func() error { return nil }
	if o.KeyLog != "" {
		f, err := os.OpenFile(o.KeyLog, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, nil, fmt.Errorf("SSLKEYLOGFILE: %w", err)
		}
		fmt.Fprintf(o.Err, "The secrets of TLS are written to %s: what was sent can be read with them.\n", o.KeyLog)
		t.TLSClientConfig.KeyLogWriter = f
		done = f.Close
	}
	return t, done, nil
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
	case errors.Is(err, client.ErrHTTP1):
		return fmt.Errorf("%w (without --h2c it is asked with HTTP/1.1)", err)
	}
	return err
}
