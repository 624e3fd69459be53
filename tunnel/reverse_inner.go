package tunnel

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/server"
)

// Defaults of ReverseInner.
const (
	// DefaultReverseMinBackoff and DefaultReverseMaxBackoff bound the time between attempts.
	DefaultReverseMinBackoff = 500 * time.Millisecond
	DefaultReverseMaxBackoff = 30 * time.Second
)

// ReverseInner is the inner side of reverse tunnels: it dials a [ReverseOuter] and serves the
// CONNECT requests that come back on the connection. The fields must not be changed once it runs.
type ReverseInner struct {
	// URL is that of the outer side, https or, without TLS, http.
	URL *url.URL

	// Token returns what proves that this side may serve, for BearerToken at the outer side. It is
	// called for each connection, so that a token can be changed.
	Token func(ctx context.Context) (string, error)

	// Handler answers the requests. It is usually a *Proxy, whose Policy says what may be reached:
	// the zero Rules, port 443 of public addresses and so nothing inside. Where it is a *Proxy with
	// UDP, extended CONNECT is offered as if HTTP2.EnableConnectProtocol were set.
	Handler http.Handler

	// Connections is how many connections are kept. Tunnels are spread over them, and a dial at the
	// outer side goes on with another when one is lost. Default [DefaultReverseConnections], 2.
	Connections int

	// TLSClientConfig is used for an https URL. ServerName is by default the host of URL, and
	// NextProtos is set.
	TLSClientConfig *tls.Config

	// DialContext makes the connections; that of a Dialer goes through a proxy. A nil DialContext
	// is that of a net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// MinBackoff and MaxBackoff bound the time until a connection that has failed is made again: it
	// doubles with each failure in a row, and up to half of it, at random, is left out. A
	// connection that has lasted for MaxBackoff ends the row. Defaults: 0.5 s and 30 s.
	MinBackoff, MaxBackoff time.Duration

	// KeepAlive is how long nothing may arrive on a connection before a PING asks whether the outer
	// side is still there; it has 10 s to answer. Default [DefaultReverseKeepAlive], 15 s;
	// negative: no PINGs.
	KeepAlive time.Duration

	// DrainTimeout is how long tunnels may go on when Run is told to end. Default 0: for as long as
	// they take; negative: they are cut off.
	DrainTimeout time.Duration

	// HTTP2 has the settings of the connections. MaxConcurrentStreams is how many tunnels one of
	// them has at a time. With MaxConnectionAge a connection is drained after that time, and
	// another takes its place before.
	HTTP2 server.Config

	// Logger gets what operators need to know. A nil Logger discards it.
	Logger *slog.Logger
}

// maxReverseHead bounds the answer of an outer side, in octets.
const maxReverseHead = 64 << 10

// A reverseError is the error of an outer side that has not answered with 101.
type reverseError struct {
	status string
	text   string
}

func (e *reverseError) Error() string {
	return fmt.Sprintf("the outer side has answered with %s: %s", e.status, strings.TrimSpace(e.text))
}

// Run keeps connections to the outer side until ctx is done. Then it tells the outer side with
// GOAWAY to open no more tunnels, waits for those that there are, and returns nil, or
// context.DeadlineExceeded where some were cut off after DrainTimeout. It returns early only if a
// field makes no sense.
func (in *ReverseInner) Run(ctx context.Context) error {
	if in.URL == nil || in.URL.Host == "" || in.URL.Scheme != "https" && in.URL.Scheme != "http" {
		return fmt.Errorf("tunnel: the URL of the outer side is %v, and must be https://HOST:PORT", in.URL)
	}
	if in.Token == nil || in.Handler == nil {
		return errors.New("tunnel: a ReverseInner needs a Token and a Handler")
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true) // TLS ends before
	srv := &server.Server{
		Handler: in.Handler, Protocols: &protocols, Config: in.HTTP2,
		ErrorLog: slog.NewLogLogger(in.logger().Handler(), slog.LevelDebug),
	}
	if p, ok := in.Handler.(*Proxy); ok && p.UDP {
		srv.EnableConnectProtocol = true
	}
	if every := cmp.Or(in.KeepAlive, DefaultReverseKeepAlive); every > 0 {
		srv.SendPingTimeout, srv.PingTimeout = every, reversePingTimeout
	}
	srv.FirstByteTimeout = cmp.Or(srv.FirstByteTimeout, reverseHandshakeTimeout)
	var running sync.WaitGroup
	for range max(cmp.Or(in.Connections, DefaultReverseConnections), 1) {
		running.Go(func() { in.keep(ctx, srv, &running) })
	}
	<-ctx.Done()
	err := in.drain(srv)
	running.Wait()
	return err
}

// drain ends the server.
func (in *ReverseInner) drain(srv *server.Server) error {
	ctx := context.Background()
	if in.DrainTimeout != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(in.DrainTimeout, 0))
		defer cancel()
	}
	err := srv.Shutdown(ctx)
	if err != nil {
		_ = srv.Close() // closes what is left
	}
	if in.DrainTimeout < 0 {
		return nil
	}
	return err
}

// keep has one connection at a time that takes tunnels, until ctx is done. Those that are drained
// go on beside it.
func (in *ReverseInner) keep(ctx context.Context, srv *server.Server, running *sync.WaitGroup) {
	failures := 0
	for ctx.Err() == nil {
		begin := time.Now()
		err := in.once(ctx, srv, running)
		if time.Since(begin) >= in.maxBackoff() {
			failures = 0
		}
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errDraining) && time.Since(begin) >= in.backoff(0) {
			in.logger().Info("another connection to the outer side", "outer", in.URL.Host, "reason", err)
			failures = 0
			continue
		}
		wait := in.backoff(failures)
		failures++
		in.logger().Warn("no connection to the outer side", "outer", in.URL.Host, "reason", err, "again in", wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (in *ReverseInner) maxBackoff() time.Duration {
	return cmp.Or(in.MaxBackoff, DefaultReverseMaxBackoff)
}

// backoff returns how long to wait after a number of failures before.
func (in *ReverseInner) backoff(failures int) time.Duration {
	d, most := cmp.Or(in.MinBackoff, DefaultReverseMinBackoff), in.maxBackoff()
	for range failures {
		if d *= 2; d >= most {
			break
		}
	}
	d = max(min(d, most), 2)
	return d - rand.N(d/2)
}

// errDraining is why a connection is replaced that goes on.
var errDraining = errors.New("it is drained (GOAWAY)")

// once makes a connection and returns, with the reason, when it takes no more tunnels.
func (in *ReverseInner) once(ctx context.Context, srv *server.Server, running *sync.WaitGroup) error {
	nc, received, err := in.connect(ctx)
	if err != nil {
		return err
	}
	in.logger().Info("connected to the outer side", "outer", in.URL.Host)
	cfg := srv.Config
	goAway := &goAwayTracer{next: cfg.Tracer, seen: make(chan struct{})}
	cfg.Tracer = goAway
	ended := make(chan error, 1)
	running.Go(func() {
		ended <- srv.ServeConnWith(nc, server.ConnOptions{Config: &cfg, Received: received})
	})
	select {
	case err := <-ended:
		if err == nil {
			err = errors.New("it has ended")
		}
		return err
	case <-goAway.seen:
		return errDraining
	}
}

// goAwayTracer sees when a connection is drained, by either side.
type goAwayTracer struct {
	next server.Tracer // nil for none
	once sync.Once
	seen chan struct{} // closed then
}

// TraceFrame is that of a Tracer.
func (t *goAwayTracer) TraceFrame(c *conn.Conn, f conn.FrameTrace) {
	if f.Header.Type == frame.TypeGoAway {
		t.once.Do(func() { close(t.seen) })
	}
	if t.next != nil {
		t.next.TraceFrame(c, f)
	}
}

// TraceUpgrade is that of a conn.UpgradeTracer.
func (t *goAwayTracer) TraceUpgrade(c *conn.Conn, u *conn.Upgrade) {
	if next, ok := t.next.(conn.UpgradeTracer); ok {
		next.TraceUpgrade(c, u)
	}
}

// TraceEnd is that of a conn.EndTracer.
func (t *goAwayTracer) TraceEnd(c *conn.Conn, err error) {
	if end, ok := t.next.(conn.EndTracer); ok {
		end.TraceEnd(c, err)
	}
}

// connect dials the outer side and has the roles reversed. received is what came behind the answer.
func (in *ReverseInner) connect(ctx context.Context) (nc net.Conn, received []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, reverseHandshakeTimeout)
	defer cancel()
	token, err := in.Token(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("token: %w", err)
	}
	dial := in.DialContext
	if dial == nil {
		dial = originDialer.DialContext
	}
	if nc, err = dial(ctx, "tcp", in.addr()); err != nil {
		return nil, nil, err
	}
	if in.URL.Scheme == "https" {
		tc := tls.Client(nc, in.tlsConfig())
		if err := tc.HandshakeContext(ctx); err != nil {
			_ = nc.Close() // the error is known
			return nil, nil, err
		}
		nc = tc
	}
	// The result nc may be nil at the time when ctx is done.
	dialled := nc
	stop := context.AfterFunc(ctx, func() { _ = dialled.Close() }) // the error of a call below is enough
	received, err = in.upgrade(nc, token)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = nc.Close() // the error is known
		return nil, nil, cmp.Or(ctx.Err(), err)
	}
	return plainConn{nc}, received, nil
}

// addr is the "host:port" of the outer side.
func (in *ReverseInner) addr() string {
	port := in.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[in.URL.Scheme]
	}
	return net.JoinHostPort(in.URL.Hostname(), port)
}

func (in *ReverseInner) tlsConfig() *tls.Config {
	cfg := &tls.Config{}
	if in.TLSClientConfig != nil {
		cfg = in.TLSClientConfig.Clone()
	}
	cfg.ServerName = cmp.Or(cfg.ServerName, in.URL.Hostname())
	cfg.NextProtos = []string{"http/1.1"}
	return cfg
}

// upgrade sends the request and reads the answer.
func (in *ReverseInner) upgrade(nc net.Conn, token string) ([]byte, error) {
	req := &http.Request{
		Method: http.MethodGet, URL: in.URL, Host: in.URL.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {reverseProtocol}, "Authorization": {"Bearer " + token},
			"User-Agent": {"sluice"},
		},
	}
	if strings.ContainsAny(token, "\r\n\x00") {
		return nil, errors.New("the token has a line break in it")
	}
	if err := req.Write(nc); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: nc, N: maxReverseHead}
	br := bufio.NewReader(limited)
	resp, err := http.ReadResponse(br, req)
	if err != nil {
		return nil, fmt.Errorf("the answer of the outer side: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols || !asksForReverse(resp.Header) {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusalBody)) // what there is
		return nil, &reverseError{status: resp.Status, text: string(text)}
	}
	return br.Peek(br.Buffered())
}

// A plainConn is a connection whose TLS package server is not to see: ALPN has chosen HTTP/1.1, and
// HTTP/2 follows by the upgrade.
type plainConn struct{ net.Conn }

// CloseWrite ends the direction to the peer.
func (c plainConn) CloseWrite() error { return closeWrite(c.Conn) }

func (in *ReverseInner) logger() *slog.Logger {
	if in.Logger != nil {
		return in.Logger
	}
	return slog.New(slog.DiscardHandler)
}
