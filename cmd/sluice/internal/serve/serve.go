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
	"github.com/sluice-go/sluice/cmd/sluice/internal/listen"
	"github.com/sluice-go/sluice/cmd/sluice/internal/watch"
	"github.com/sluice-go/sluice/server"
)

// Run serves until ctx is done, then drains: running requests may finish
// within o.Drain. It returns nil after a clean end. Its errors are for the
// person at the terminal: they name the flag to change.
func Run(ctx context.Context, o Options) (err error) {
	o.Out = cmp.Or[io.Writer](o.Out, io.Discard)
	o.Err = cmp.Or[io.Writer](o.Err, io.Discard)
	if err := o.check(); err != nil {
		return err
	}
	logger := log.New(o.Err, "", log.LstdFlags)
	ls, err := listen.Open(o.listen())
	if err != nil {
		return err
	}
	w, err := watch.Open(o.Watch, "sluice serve", logger)
	if err != nil {
		ls.Close()
		return err
	}
	defer func() { err = cmp.Or(err, w.Close()) }()
	srv := newServer(&o, ls, logger)
	watched(srv, ls, w)
	u := urls{https: listen.URL("https", o.HTTPS, ls.HTTPS), http: listen.URL("http", o.HTTP, ls.HTTP)}
	banner(o.Out, &o, u, w)
	serving := ls.Serve(srv)
	if o.Ready != nil {
		o.Ready(ls.Addrs())
	}
	select {
	case <-ctx.Done():
		return stop(&o, srv, serving)
	case err := <-serving.Ended():
		return serving.Broken(srv, err)
	}
}

// watched has a server and its listeners watched.
func watched(srv *server.Server, ls *listen.Listeners, w *watch.Watch) {
	ls.HTTPS, ls.HTTP = w.Listener(ls.HTTPS), w.Listener(ls.HTTP)
	srv.Tracer = w.Tracer()
	if srv.TLSConfig != nil {
		srv.TLSConfig.KeyLogWriter = w.KeyLogWriter()
	}
}

// stop drains the server and waits for its listeners' goroutines.
func stop(o *Options, srv *server.Server, serving *listen.Serving) error {
	fmt.Fprintf(o.Out, "\nStopping: requests that run have %v to finish. Ctrl-C again stops at once.\n", o.Drain)
	ctx, cancel := context.WithTimeout(context.Background(), o.Drain)
	defer cancel()
	err := srv.Shutdown(ctx)
	if err != nil {
		srv.Close()
	}
	serving.Wait()
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("some requests did not finish within %v and were cut off; --drain gives them longer", o.Drain)
	}
	if err == nil {
		fmt.Fprintln(o.Out, "Stopped.")
	}
	return err
}

// newServer makes the server for the listeners, which says of itself where they are.
func newServer(o *Options, ls *listen.Listeners, logger *log.Logger) *server.Server {
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
	if ls.HTTPS != nil {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{ls.Cert}}
	}
	if o.Dir != "" {
		srv.Handler = http.FileServerFS(os.DirFS(o.Dir))
	} else {
		site := demo.New(demo.Info{
			Server:     "sluice " + o.Version,
			TLSPort:    port(ls.HTTPS),
			PlainPort:  port(ls.HTTP),
			H2CUpgrade: o.H2CUpgrade,
		}, func() any { return srv.Stats() })
		srv.Handler, srv.ConnContext = site, site.ConnContext
	}
	if o.Verbose {
		srv.Handler = logRequests(logger, srv.Handler)
	}
	return srv
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
