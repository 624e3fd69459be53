package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/sluice-go/sluice/cmd/sluice/internal/listen"
	"github.com/sluice-go/sluice/cmd/sluice/internal/watch"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// Limits of connections to the proxy, which are not those of tunnels.
const (
	headerTimeout = 30 * time.Second // for a request's header
	connIdle      = 5 * time.Minute  // without requests and tunnels
)

// Run serves until ctx is done, then drains: tunnels may go on for o.Drain. It returns nil after a
// clean end. Its errors are for the person at the terminal: they name the flag to change.
func Run(ctx context.Context, o Options) (err error) {
	o.Out = cmp.Or[io.Writer](o.Out, io.Discard)
	o.Err = cmp.Or[io.Writer](o.Err, io.Discard)
	if err := o.check(); err != nil {
		return err
	}
	trusted, err := o.trusted()
	if err != nil {
		return err
	}
	c, err := configure(&o)
	if err != nil {
		return err
	}
	defer c.close()
	ls, err := listen.Open(&o.Options)
	if err != nil {
		return err
	}
	srv := newServer(c, ls)
	w, err := watch.Open(o.Watch, "sluice proxy", srv.ErrorLog)
	if err != nil {
		ls.Close()
		return err
	}
	defer func() { err = cmp.Or(err, w.Close()) }()
	c.banner(o.Out, ls, w)
	for _, w := range c.warnings(ls) {
		c.log.Warn(w)
	}
	if len(trusted) > 0 {
		behindBalancer(ls, trusted, c.log)
	}
	c.watched(srv, ls, w)
	serving := ls.Serve(srv)
	if o.Ready != nil {
		o.Ready(ls.Addrs())
	}
	for {
		select {
		case <-ctx.Done():
			return c.stop(srv, serving)
		case <-o.Reload:
			c.reload()
		case err := <-serving.Ended():
			c.proxy.Close()
			return serving.Broken(srv, err)
		}
	}
}

// newServer makes the server of the proxy.
func newServer(c *config, ls *listen.Listeners) *server.Server {
	srv := &server.Server{
		Handler:           c.proxy,
		ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       connIdle,
		Config: server.Config{
			MaxConcurrentStreams:  c.o.MaxStreams,
			FirstByteTimeout:      connIdle,
			EnableConnectProtocol: true,
			IgnoreALPN:            true,
		},
	}
	if ls.HTTPS != nil {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{ls.Cert}, ClientCAs: c.roots}
		if c.roots != nil {
			srv.TLSConfig.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	return srv
}

// watched has the proxy watched, and both sides of its tunnels.
func (c *config) watched(srv *server.Server, ls *listen.Listeners, w *watch.Watch) {
	ls.HTTPS, ls.HTTP = w.Listener(ls.HTTPS), w.Listener(ls.HTTP)
	srv.Tracer = w.Tracer()
	if srv.TLSConfig != nil {
		srv.TLSConfig.KeyLogWriter = w.KeyLogWriter()
	}
	c.proxy.DialContext = w.Dial(c.proxy.DialContext)
	if i := c.proxy.Intercept; i != nil {
		i.Tracer, i.KeyLogWriter = w.InterceptTracer(), w.KeyLogWriter()
	}
}

// behindBalancer has the listeners take PROXY protocol headers.
func behindBalancer(ls *listen.Listeners, trusted []netip.Prefix, log *slog.Logger) {
	for _, l := range []*net.Listener{&ls.HTTPS, &ls.HTTP} {
		if *l != nil {
			*l = &tunnel.ProxyProtocolListener{Listener: *l, Trusted: trusted, Logger: log}
		}
	}
}

// stop drains server and proxy.
func (c *config) stop(srv *server.Server, serving *listen.Serving) error {
	fmt.Fprintf(c.o.Out, "\nStopping: tunnels have %v to end. Ctrl-C again stops at once.\n", c.o.Drain)
	ctx, cancel := context.WithTimeout(context.Background(), c.o.Drain)
	defer cancel()
	var serverErr, proxyErr error
	var both sync.WaitGroup
	both.Go(func() { serverErr = srv.Shutdown(ctx) })    // ends with ctx
	both.Go(func() { proxyErr = c.proxy.Shutdown(ctx) }) // ends with ctx
	both.Wait()
	if serverErr != nil {
		srv.Close()
	}
	serving.Wait()
	err := cmp.Or(proxyErr, serverErr)
	if errors.Is(err, context.DeadlineExceeded) {
		fmt.Fprintf(c.o.Out, "Some tunnels did not end within %v and were cut off; --drain gives them longer.\n", c.o.Drain)
		err = nil
	}
	if err == nil {
		fmt.Fprintln(c.o.Out, "Stopped.")
	}
	return err
}
