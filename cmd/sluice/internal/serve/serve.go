package serve

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/sluice-go/sluice/cmd/sluice/internal/demo"
	"github.com/sluice-go/sluice/server"
)

// Run serves until ctx is done, then drains: running requests may finish
// within o.Drain. It returns nil after a clean end. Its errors are for the
// person at the terminal: they name the flag to change.
func Run(ctx context.Context, o Options) error {
	o.Out = cmp.Or[io.Writer](o.Out, io.Discard)
	o.Err = cmp.Or[io.Writer](o.Err, io.Discard)
	if err := o.check(); err != nil {
		return err
	}
	ls, err := open(&o)
	if err != nil {
		return err
	}
	srv := newServer(&o, ls)
	u := urls{https: url("https", o.HTTPS, ls.https), http: url("http", o.HTTP, ls.http)}
	banner(o.Out, &o, u)
	ended := ls.start(srv)
	if o.Ready != nil {
		o.Ready(addr(ls.https), addr(ls.http))
	}
	select {
	case <-ctx.Done():
		return stop(&o, srv, ls.count, ended)
	case err := <-ended:
		srv.Close()
		for range ls.count - 1 {
			<-ended
		}
		return fmt.Errorf("a listener broke: %w", err)
	}
}

// stop drains the server and waits for its listeners' goroutines.
func stop(o *Options, srv *server.Server, listeners int, ended <-chan error) error {
	fmt.Fprintf(o.Out, "\nStopping: requests that run have %v to finish. Ctrl-C again stops at once.\n", o.Drain)
	ctx, cancel := context.WithTimeout(context.Background(), o.Drain)
	defer cancel()
	err := srv.Shutdown(ctx)
	if err != nil {
		srv.Close()
	}
	for range listeners {
		<-ended
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("some requests did not finish within %v and were cut off; --drain gives them longer", o.Drain)
	}
	if err == nil {
		fmt.Fprintln(o.Out, "Stopped.")
	}
	return err
}

// listeners are the listeners of a server; one that is nil is off.
type listeners struct {
	https, http net.Listener
	cert        tls.Certificate
	count       int // of those that are open
}

// open opens the listeners that o asks for, or none after an error.
func open(o *Options) (ls listeners, err error) {
	defer func() {
		if err != nil && ls.https != nil {
			ls.https.Close()
		}
	}()
	if o.HTTPS != "" {
		if ls.cert, err = certificate(o); err != nil {
			return ls, err
		}
		if ls.https, err = listen("--https", o.HTTPS); err != nil {
			return ls, err
		}
		ls.count++
	}
	if o.HTTP != "" {
		if ls.http, err = listen("--http", o.HTTP); err != nil {
			return ls, err
		}
		ls.count++
	}
	return ls, nil
}

// start serves both listeners, each on a goroutine that Shutdown or Close of
// srv ends. The channel gets the error of each then.
func (ls *listeners) start(srv *server.Server) <-chan error {
	ended := make(chan error, ls.count)
	if ls.https != nil {
		go func() { ended <- srv.ServeTLS(ls.https, "", "") }() // ends with srv
	}
	if ls.http != nil {
		go func() { ended <- srv.Serve(ls.http) }() // ends with srv
	}
	return ended
}

// newServer makes the server for the listeners, which says of itself where they are.
func newServer(o *Options, ls listeners) *server.Server {
	logger := log.New(o.Err, "", log.LstdFlags)
	srv := &server.Server{
		ErrorLog:          logger,
		IdleTimeout:       o.IdleTimeout,
		ReadHeaderTimeout: o.HeaderTimeout,
		MaxHeaderBytes:    o.MaxHeaderBytes,
		Config: server.Config{
			MaxConcurrentStreams: o.MaxStreams,
			MaxConnectionAge:     o.MaxAge,
			AllowH2CUpgrade:      o.H2CUpgrade,
		},
	}
	if ls.https != nil {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{ls.cert}}
	}
	if o.Dir != "" {
		srv.Handler = http.FileServerFS(os.DirFS(o.Dir))
	} else {
		site := demo.New(demo.Info{
			Server:     "sluice " + o.Version,
			TLSPort:    port(ls.https),
			PlainPort:  port(ls.http),
			H2CUpgrade: o.H2CUpgrade,
		}, func() any { return srv.Stats() })
		srv.Handler, srv.ConnContext = site, site.ConnContext
	}
	if o.Verbose {
		srv.Handler = logRequests(logger, srv.Handler)
	}
	return srv
}

// addr returns the address of a listener, nil for one that is off.
func addr(l net.Listener) net.Addr {
	if l == nil {
		return nil
	}
	return l.Addr()
}

// port returns the port of a listener, "" for one that is off.
func port(l net.Listener) string {
	if l == nil {
		return ""
	}
	_, p, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return ""
	}
	return p
}
