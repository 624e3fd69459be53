package reverse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// Limits of connections to Options.Proxy, as those of "sluice proxy".
const (
	headerTimeout = 30 * time.Second // for a request's header
	connIdle      = 5 * time.Minute  // without requests and tunnels
)

// An outerSide is the outer side that runs.
type outerSide struct {
	o      *Options
	outer  *tunnel.ReverseOuter
	proxy  *tunnel.Proxy  // carries everything, also what comes to Options.Listen
	inner  *server.Server // for inner sides
	client *server.Server // for Options.Proxy

	accept   net.Listener
	forwards []forward
	listen   []net.Listener // of forwards
	clients  net.Listener   // of Options.Proxy, nil for none
}

// runOuter is the outer side.
func (o *Options) runOuter(ctx context.Context, p *tunnel.Proxy) error {
	ports, err := tunnel.ParsePorts("any")
	if err != nil {
		return err
	}
	errorLog := slog.NewLogLogger(o.logger().Handler(), slog.LevelInfo)
	s := &outerSide{
		o: o, proxy: p, outer: &tunnel.ReverseOuter{Authenticate: o.authenticate, Logger: o.logger()},
		client: &server.Server{
			Handler: p, ErrorLog: errorLog, ReadHeaderTimeout: headerTimeout, IdleTimeout: connIdle,
			Config: server.Config{FirstByteTimeout: connIdle, EnableConnectProtocol: true},
		},
	}
	s.inner = &server.Server{Handler: s.outer, ErrorLog: errorLog}
	p.Policy = &tunnel.Rules{AllowPrivate: true, Ports: ports} // the inner side decides
	p.DialTarget = s.outer.DialTarget
	if o.Users != "" {
		users := &tunnel.BasicFile{Path: o.Users}
		if err := users.Load(); err != nil {
			return fmt.Errorf("--users: %w", err)
		}
		p.Auth = users
	}
	defer s.closeListeners() // those that were opened before an error, too
	if err := s.open(); err != nil {
		return err
	}
	s.ready()
	return s.serve(ctx)
}

// authenticate reads the token for each request, so that it can be changed.
func (o *Options) authenticate(r *http.Request) bool {
	token, err := o.token()
	return err == nil && tunnel.BearerToken(token)(r)
}

// open opens the listeners.
func (s *outerSide) open() (err error) {
	o := s.o
	if s.accept, err = net.Listen("tcp", o.Accept); err != nil {
		return fmt.Errorf("--accept: %w", err)
	}
	if !o.Cleartext {
		cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return fmt.Errorf("--cert %s with --key %s: %w", o.CertFile, o.KeyFile, err)
		}
		s.inner.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	for _, text := range o.Listen {
		f, err := parseForward(text)
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", f.addr)
		if err != nil {
			return fmt.Errorf("--listen: %w", err)
		}
		s.forwards, s.listen = append(s.forwards, f), append(s.listen, l)
	}
	if o.Proxy != "" {
		if s.clients, err = net.Listen("tcp", o.Proxy); err != nil {
			return fmt.Errorf("--proxy: %w", err)
		}
	}
	return nil
}

// ready says what listens.
func (s *outerSide) ready() {
	addrs := make([]net.Addr, 0, len(s.listen)+1)
	fmt.Fprintf(s.o.Out, "sluice is the outer side of a reverse tunnel\n\n  inner sides: %s\n", s.accept.Addr())
	for i, l := range s.listen {
		addrs = append(addrs, l.Addr())
		fmt.Fprintf(s.o.Out, "  clients:     %s, for %s\n", l.Addr(), s.forwards[i].target)
	}
	if s.clients != nil {
		addrs = append(addrs, s.clients.Addr())
		fmt.Fprintf(s.o.Out, "  clients:     %s, a proxy to what the inner side allows\n", s.clients.Addr())
		if tcp, ok := s.clients.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() && s.o.Users == "" {
			s.o.logger().Warn("everyone who can connect to --proxy reaches what the inner side allows: see --users")
		}
	}
	fmt.Fprint(s.o.Out, "\nCtrl-C stops.\n")
	if s.o.Ready != nil {
		s.o.Ready(s.accept.Addr(), addrs)
	}
}

func (s *outerSide) closeListeners() {
	for _, l := range append([]net.Listener{s.accept, s.clients}, s.listen...) {
		if l != nil {
			_ = l.Close() // nothing can be done about an error
		}
	}
}

// serve serves until ctx is done, and drains.
func (s *outerSide) serve(ctx context.Context) error {
	accepting, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup // all of it ends below
	for i, f := range s.forwards {
		running.Go(func() { s.acceptAll(accepting, s.listen[i], f.target, &running) })
	}
	served := make(chan error, 2)
	running.Go(func() {
		if s.o.Cleartext {
			served <- s.inner.Serve(s.accept)
			return
		}
		served <- s.inner.ServeTLS(s.accept, "", "")
	})
	if s.clients != nil {
		running.Go(func() { served <- s.client.Serve(s.clients) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-served:
	}
	cancel()
	s.closeListeners()
	s.drain()
	running.Wait()
	return err
}

// drain lets tunnels end for Options.Drain, and cuts off what is left.
func (s *outerSide) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), s.o.Drain)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { _ = s.outer.Shutdown(ctx) }) // the inner sides connect elsewhere
	all.Go(func() { _ = s.client.Shutdown(ctx) })
	all.Go(func() { _ = s.proxy.Shutdown(ctx) })
	all.Wait() // all of them end with ctx
	_ = s.outer.Close()
	_, _ = s.client.Close(), s.inner.Close()
}

// acceptAll carries the connections of a listener to a target.
func (s *outerSide) acceptAll(ctx context.Context, l net.Listener, target string, running *sync.WaitGroup) {
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			if err == nil {
				_ = nc.Close()
			}
			return
		case err != nil: // there are no descriptors, for example
			s.o.logger().Warn("no connection was accepted", "listen", l.Addr(), "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		running.Go(func() {
			client := nc.RemoteAddr()
			if err := s.proxy.ServeConn(nc, target); err != nil {
				s.o.logger().Warn("no tunnel", "client", client, "target", target, "error", err)
			}
		})
	}
}
