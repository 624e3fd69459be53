package serve

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/sluice-go/sluice/cmd/sluice/internal/listen"
	"github.com/sluice-go/sluice/cmd/sluice/internal/watch"
)

// Options are the flags of the command. The zero value listens nowhere; the
// command's own defaults are in [Defaults].
type Options struct {
	HTTPS string // address of the TLS listener, such as ":8443"; "" turns it off
	HTTP  string // address of the cleartext listener, such as ":8080"; "" turns it off

	Dir      string   // directory to serve; "" is the demo site
	CertFile string   // PEM certificate chain; "" makes a self-signed one in memory
	KeyFile  string   // PEM key of CertFile
	Hosts    []string // names and addresses that a self-signed certificate is for, beside those of this machine

	H2CUpgrade bool // answer "Upgrade: h2c" on the cleartext listener (RFC 7540 §3.2)

	MaxStreams     int           // concurrent streams of a connection; 0 is the server's default
	MaxHeaderBytes int           // size of a request's header section in octets; 0 is the server's default
	HeaderTimeout  time.Duration // for a request's header section; 0 is the server's default
	IdleTimeout    time.Duration // of a connection without requests; 0 is never
	MaxAge         time.Duration // of a connection, then it is drained; 0 is no limit
	Drain          time.Duration // for running requests after the signal to stop

	Watch watch.Options // live page, capture and key log

	Verbose bool   // log every request to Err
	Version string // shown by the demo site

	Out io.Writer // what to try, and what happens; nil discards it
	Err io.Writer // the server's log; nil discards it

	// Ready, if not nil, is called once when both listeners accept; an
	// address is nil when its listener is off.
	Ready func(https, http net.Addr)
}

// Defaults returns the options of "sluice serve" without flags.
func Defaults() Options {
	return Options{HTTPS: ":8443", HTTP: ":8080", IdleTimeout: 5 * time.Minute, Drain: 10 * time.Second}
}

// listen returns what the listeners need.
func (o *Options) listen() *listen.Options {
	return &listen.Options{HTTPS: o.HTTPS, HTTP: o.HTTP, CertFile: o.CertFile, KeyFile: o.KeyFile, Hosts: o.Hosts}
}

// check finds what cannot work before anything is opened, and says which flag
// to change.
func (o *Options) check() error {
	for _, check := range []func() error{o.listen().Check, o.Watch.Check} {
		if err := check(); err != nil {
			return err
		}
	}
	if o.H2CUpgrade && o.HTTP == "" {
		return errors.New(`--h2c-upgrade is for the cleartext listener, which --http "" turned off`)
	}
	for _, f := range []struct {
		flag string
		n    int64
	}{
		{"--max-streams", int64(o.MaxStreams)},
		{"--max-header-bytes", int64(o.MaxHeaderBytes)},
		{"--header-timeout", int64(o.HeaderTimeout)},
		{"--idle-timeout", int64(o.IdleTimeout)},
		{"--max-age", int64(o.MaxAge)},
		{"--drain", int64(o.Drain)},
	} {
		if f.n < 0 {
			return fmt.Errorf("%s must not be negative", f.flag)
		}
	}
	return o.checkDir()
}

// checkDir is check for Dir.
func (o *Options) checkDir() error {
	if o.Dir == "" {
		return nil
	}
	info, err := os.Stat(o.Dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("--dir %s: there is no such directory", o.Dir)
	case err != nil:
		return fmt.Errorf("--dir: %w", err)
	case !info.IsDir():
		return fmt.Errorf("--dir %s: that is a file; name the directory it is in", o.Dir)
	}
	return nil
}
