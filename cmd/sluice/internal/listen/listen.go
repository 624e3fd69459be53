package listen

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
	"github.com/sluice-go/sluice/server"
)

// Options are the flags that say where to listen.
type Options struct {
	HTTPS    string   // address of the TLS listener, such as ":8443"; "" turns it off
	HTTP     string   // address of the cleartext listener, such as ":8080"; "" turns it off
	CertFile string   // PEM certificate chain; "" makes a self-signed one in memory
	KeyFile  string   // PEM key of CertFile
	Hosts    []string // names and addresses that a self-signed certificate is for, beside those of this machine
}

// Check finds what cannot work before anything is opened, and says which flag to change.
func (o *Options) Check() error {
	switch {
	case o.HTTPS == "" && o.HTTP == "":
		return errors.New("nothing to listen on: --https and --http are both empty")
	case o.CertFile != "" && o.KeyFile == "":
		return fmt.Errorf("--cert %s needs its private key: add --key FILE", o.CertFile)
	case o.CertFile == "" && o.KeyFile != "":
		return fmt.Errorf("--key %s needs its certificate: add --cert FILE", o.KeyFile)
	case o.CertFile != "" && o.HTTPS == "":
		return errors.New(`--cert is for the TLS listener, which --https "" turned off`)
	}
	return nil
}

// Listeners are the listeners of a server; one that is nil is off.
type Listeners struct {
	HTTPS, HTTP net.Listener
	Cert        tls.Certificate // of HTTPS

	count int // listeners that are open
}

// Open opens the listeners that o asks for, or none after an error.
func Open(o *Options) (ls *Listeners, err error) {
	ls = &Listeners{}
	defer func() {
		if err != nil {
			ls.Close()
		}
	}()
	if o.HTTPS != "" {
		if ls.Cert, err = certificate(o); err != nil {
			return ls, err
		}
		if ls.HTTPS, err = listen("--https", o.HTTPS); err != nil {
			return ls, err
		}
		ls.count++
	}
	if o.HTTP != "" {
		if ls.HTTP, err = listen("--http", o.HTTP); err != nil {
			return ls, err
		}
		ls.count++
	}
	return ls, nil
}

// Close closes listeners that are not served.
func (ls *Listeners) Close() {
	for _, l := range []net.Listener{ls.HTTPS, ls.HTTP} {
		if l != nil {
			l.Close()
		}
	}
}

// Serve has srv serve the listeners, each on a goroutine that Shutdown or Close of srv ends.
func (ls *Listeners) Serve(srv *server.Server) *Serving {
	s := &Serving{ended: make(chan error, ls.count), left: ls.count}
	if ls.HTTPS != nil {
		go func() { s.ended <- srv.ServeTLS(ls.HTTPS, "", "") }() // ends with srv
	}
	if ls.HTTP != nil {
		go func() { s.ended <- srv.Serve(ls.HTTP) }() // ends with srv
	}
	return s
}

// Addrs returns the addresses of the listeners, nil for one that is off.
func (ls *Listeners) Addrs() (https, http net.Addr) { return addr(ls.HTTPS), addr(ls.HTTP) }

// addr returns the address of a listener, nil for one that is off.
func addr(l net.Listener) net.Addr {
	if l == nil {
		return nil
	}
	return l.Addr()
}

// Serving is a server that serves its listeners.
type Serving struct {
	ended chan error // the error of each listener, when it has ended
	left  int        // how many of them have not been received
}

// Ended returns a channel that receives the error of a listener that has ended. A value must be
// passed to Broken.
func (s *Serving) Ended() <-chan error { return s.ended }

// Broken closes srv after an error that was received from Ended, and returns an error to report.
func (s *Serving) Broken(srv *server.Server, err error) error {
	s.left--
	srv.Close()
	s.Wait()
	return fmt.Errorf("a listener broke: %w", err)
}

// Wait waits until all listeners have ended.
func (s *Serving) Wait() {
	for ; s.left > 0; s.left-- {
		<-s.ended
	}
}

// URL returns the URL of a listener for a client on this machine, "" where it is off: with the name
// that addr has, or localhost when it listens on all addresses.
func URL(scheme, addr string, l net.Listener) string {
	if l == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil || AnyAddress(host) {
		host = "localhost"
	}
	_, port, err := net.SplitHostPort(l.Addr().String()) // the address may have said port 0
	if err != nil {
		return scheme + "://" + l.Addr().String()
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

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
	if host, _, err := net.SplitHostPort(o.HTTPS); err == nil && !AnyAddress(host) {
		hosts = append(hosts, host)
	}
	return append(hosts, o.Hosts...)
}

// AnyAddress reports whether host stands for every address of the machine.
func AnyAddress(host string) bool {
	if host == "" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsUnspecified()
}
