package serve

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/sluice-go/sluice/internal/selfsigned"
)

// listen opens one listener; flag is its name on the command line.
func listen(flag, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l, nil
	}
	return nil, fmt.Errorf("cannot listen on %s: %s", addr, advice(flag, addr, err))
}

// advice says in one sentence what is wrong and what to do about it.
func advice(flag, addr string, err error) string {
	var dns *net.DNSError
	var bad *net.AddrError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf(
			`another program has that port. Choose another with %s HOST:PORT, or turn this listener off with %s ""`,
			flag,
			flag,
		)
	case errors.Is(err, syscall.EACCES):
		return fmt.Sprintf(
			"this user may not open that port (those below 1024 are kept for the administrator). "+
				"Choose a higher one with %s HOST:PORT",
			flag,
		)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf(
			"this machine has no such address. Choose one of its own with %s HOST:PORT, or all of them with %s :PORT",
			flag,
			flag,
		)
	case errors.As(err, &dns):
		return fmt.Sprintf("%v. Change %s", dns, flag)
	case errors.As(err, &bad):
		return fmt.Sprintf("%s. %s wants HOST:PORT, such as :8443 or 127.0.0.1:8443", bad.Err, flag)
	}
	return fmt.Sprintf("%v. Change %s", err, flag)
}

// certificate loads the certificate of the files, or makes one that is valid for
// the names by which the listener can be reached.
func certificate(o *Options) (tls.Certificate, error) {
	if o.CertFile == "" {
		return selfsigned.Certificate(certHosts(o)...)
	}
	cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err == nil {
		return cert, nil
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		flag := "--cert"
		if path.Path == o.KeyFile {
			flag = "--key"
		}
		return cert, fmt.Errorf("%s: cannot read %s: %w", flag, path.Path, path.Err)
	}
	return cert, fmt.Errorf("--cert %s with --key %s: %s", o.CertFile, o.KeyFile, strings.TrimPrefix(err.Error(), "tls: "))
}

// certHosts returns the names and addresses that a self-signed certificate is for.
func certHosts(o *Options) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil && name != "" && name != "localhost" {
		hosts = append(hosts, name)
	}
	if host, _, err := net.SplitHostPort(o.HTTPS); err == nil && !anyAddress(host) {
		hosts = append(hosts, host)
	}
	return append(hosts, o.Hosts...)
}

// anyAddress reports whether host stands for every address of the machine.
func anyAddress(host string) bool {
	if host == "" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsUnspecified()
}
