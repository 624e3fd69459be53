package reverse

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/sluice-go/sluice/server"
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
	said := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(said)
		fmt.Fprintf(o.Out, "\nStopping: tunnels have %v to end. Ctrl-C again stops at once.\n", o.Drain)
	})
	run := o.runOuter
	if o.Inner {
		run = o.runInner
	}
	err := run(ctx)
	if !stop() {
		<-said
	}
	if err == nil {
		fmt.Fprintln(o.Out, "Stopped.")
	}
	return err
}

func (o *Options) logger() *slog.Logger { return slog.New(slog.NewTextHandler(o.Err, nil)) }

// runInner is the inner side.
func (o *Options) runInner(ctx context.Context) error {
	u, err := url.Parse(o.To)
	if err != nil {
		return err
	}
	policy, err := rules(o.Allow)
	if err != nil {
		return err
	}
	p := &tunnel.Proxy{Policy: policy, IdleTimeout: -1, Logger: o.logger()}
	in := &tunnel.ReverseInner{
		URL:         u,
		Token:       func(context.Context) (string, error) { return o.token() },
		Handler:     p,
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

// runOuter is the outer side.
func (o *Options) runOuter(ctx context.Context) error {
	outer := &tunnel.ReverseOuter{Authenticate: o.authenticate, Logger: o.logger()}
	srv := &server.Server{Handler: outer, ErrorLog: slog.NewLogLogger(o.logger().Handler(), slog.LevelInfo)}
	var listeners []net.Listener
	defer func() {
		for _, l := range listeners {
			_ = l.Close() // those that were opened before an error, and for good measure
		}
	}()
	open := func(flag, addr string) error {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
		listeners = append(listeners, l)
		return nil
	}
	if err := open("--accept", o.Accept); err != nil {
		return err
	}
	accept := listeners[0]
	if !o.Cleartext {
		cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return fmt.Errorf("--cert %s with --key %s: %w", o.CertFile, o.KeyFile, err)
		}
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	fmt.Fprintf(o.Out, "sluice is the outer side of a reverse tunnel\n\n  inner sides: %s\n", accept.Addr())
	forwards := make([]forward, 0, len(o.Listen))
	addrs := make([]net.Addr, 0, len(o.Listen))
	for _, s := range o.Listen {
		f, err := parseForward(s)
		if err == nil {
			err = open("--listen", f.addr)
		}
		if err != nil {
			return err
		}
		addr := listeners[len(listeners)-1].Addr()
		forwards, addrs = append(forwards, f), append(addrs, addr)
		fmt.Fprintf(o.Out, "  clients:     %s, for %s\n", addr, f.target)
	}
	fmt.Fprint(o.Out, "\nCtrl-C stops.\n")
	if o.Ready != nil {
		o.Ready(accept.Addr(), addrs)
	}
	return o.serveOuter(ctx, outer, srv, listeners, forwards)
}

// authenticate reads the token for each request, so that it can be changed.
func (o *Options) authenticate(r *http.Request) bool {
	token, err := o.token()
	return err == nil && tunnel.BearerToken(token)(r)
}

// serveOuter serves until ctx is done, and drains.
func (o *Options) serveOuter(
	ctx context.Context, outer *tunnel.ReverseOuter, srv *server.Server, listeners []net.Listener, forwards []forward,
) error {
	var relays sync.WaitGroup
	all := &connections{}
	for i, f := range forwards {
		relays.Go(func() { o.acceptAll(listeners[i+1], f.target, outer, &relays, all) })
	}
	served := make(chan error, 1)
	go func() { // ends with the server
		if o.Cleartext {
			served <- srv.Serve(listeners[0])
			return
		}
		served <- srv.ServeTLS(listeners[0], "", "")
	}()
	var err error
	select {
	case <-ctx.Done():
	case err = <-served:
	}
	for _, l := range listeners {
		_ = l.Close() // ends acceptAll
	}
	drain, cancel := context.WithTimeout(context.Background(), o.Drain)
	defer cancel()
	_ = outer.Shutdown(drain) // what is left is cut off
	_ = outer.Close()
	_ = srv.Close()
	all.close()
	relays.Wait()
	if err == nil {
		<-served
	}
	return err
}

// connections are those of clients of the outer side.
type connections struct {
	mu     sync.Mutex // guards what follows
	open   map[net.Conn]bool
	closed bool
}

// add keeps a connection for close, and reports whether that was not called yet.
func (c *connections) add(nc net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if c.open == nil {
		c.open = make(map[net.Conn]bool)
	}
	c.open[nc] = true
	return true
}

func (c *connections) remove(nc net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, nc)
}

// close closes all.
func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for nc := range c.open {
		_ = nc.Close() // the copies see it
	}
}

// acceptAll carries the connections of a listener to a target.
func (o *Options) acceptAll(
	l net.Listener, target string, outer *tunnel.ReverseOuter, relays *sync.WaitGroup, all *connections,
) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return // it was closed, or has no descriptors, and then nothing helps
		}
		if !all.add(nc) {
			_ = nc.Close()
			return
		}
		relays.Go(func() {
			defer all.remove(nc)
			defer nc.Close()
			if err := carry(nc, target, outer); err != nil {
				o.logger().Warn("no tunnel", "client", nc.RemoteAddr(), "target", target, "error", err)
			}
		})
	}
}

// carry carries one connection through a tunnel. The error is that of the dial.
func carry(nc net.Conn, target string, outer *tunnel.ReverseOuter) error {
	t, err := outer.DialContext(context.Background(), "tcp", target)
	if err != nil {
		return err
	}
	defer t.Close()
	var back sync.WaitGroup
	back.Go(func() { carryOne(nc, t) })
	carryOne(t, nc)
	back.Wait()
	return nil
}

// carryOne carries one direction and its end. After an error both connections are closed.
func carryOne(to, from net.Conn) {
	if _, err := io.Copy(to, from); err == nil {
		if w, ok := to.(interface{ CloseWrite() error }); ok && w.CloseWrite() == nil {
			return
		}
	}
	_ = to.Close() // the other direction ends by that
	_ = from.Close()
}
