package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/alpn"
)

// Keys of http.Server.TLSNextProto. The second is no ALPN name: net/http uses it to hand over
// cleartext connections whose preface it has read.
const (
	protoTLS   = alpn.HTTP2
	protoClear = "unencrypted_http2"
)

// Configure has hs serve HTTP/2 with this package, over TLS and, where hs.Protocols includes
// unencrypted HTTP/2, on cleartext. It must be called before hs begins to serve, and changes
// hs.TLSConfig, hs.TLSNextProto and what hs.Shutdown does. cfg may be nil.
//
// The settings of hs hold: its handler, timeouts, MaxHeaderBytes, ErrorLog, ConnState, BaseContext,
// ConnContext, Protocols, and HTTP2 for every field that is zero in cfg. A stream that runs when
// hs.Shutdown is called may finish; its connection is drained with GOAWAY.
//
// Configure fails if the TLS 1.2 cipher suites of hs.TLSConfig lack the one that RFC 9113 §9.2.2
// requires.
func Configure(hs *http.Server, cfg *Config) error {
	if hs == nil {
		return errors.New("server: Configure of a nil *http.Server")
	}
	if err := checkSuites(hs.TLSConfig); err != nil {
		return err
	}
	if cfg == nil {
		cfg = &Config{}
	}
	h2 := newHTTP2Server(*cfg)
	http1 := &configuredHTTP1{cfg: &h2.cfg}
	if hs.TLSConfig == nil {
		hs.TLSConfig = &tls.Config{}
	}
	hs.TLSConfig.NextProtos = alpn.Adjust(hs.TLSConfig.NextProtos, configured(hs))
	if hs.TLSNextProto == nil {
		hs.TLSNextProto = make(map[string]func(*http.Server, *tls.Conn, http.Handler))
	}
	hs.TLSNextProto[protoTLS] = func(hs *http.Server, c *tls.Conn, h http.Handler) {
		if p := configured(hs); !p.HTTP2() { // a TLS configuration of the connection's own has offered it
			_ = c.Close() // an error helps nothing
			return
		}
		if h2.cfg.IgnoreALPN {
			h2.takeOverIgnoringALPN(http1, hs, c, h)
			return
		}
		h2.takeOver(hs, c, h, nil)
	}
	hs.TLSNextProto[protoClear] = func(hs *http.Server, c *tls.Conn, h http.Handler) {
		wrapped, ok := c.NetConn().(interface{ UnencryptedNetConn() net.Conn })
		if !ok {
			logf(hs.ErrorLog, "http2: cleartext connection came without one")
			go c.Close() // ends when the close does, which may block; nothing waits for it
			return
		}
		h2.takeOver(hs, wrapped.UnencryptedNetConn(), h, []byte(frame.Preface))
	}
	hs.RegisterOnShutdown(func() {
		h2.shutdown()
		http1.shutdown(hs)
	})
	return nil
}

// configured returns the protocols of hs once it is configured: net/http has no unencrypted HTTP/2
// by default.
func configured(hs *http.Server) (p http.Protocols) {
	if hs.Protocols != nil {
		return *hs.Protocols
	}
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	return p
}

// takeOver serves a connection that net/http hands over, and returns when it has ended and all its
// handlers have returned. h is net/http's own, with a method that gives the context of the
// connection.
func (h2 *http2Server) takeOver(hs *http.Server, nc net.Conn, h http.Handler, received []byte) {
	ctx := context.Background()
	if b, ok := h.(interface{ BaseContext() context.Context }); ok {
		ctx = b.BaseContext()
	}
	if ctx.Value(http.ServerContextKey) == nil {
		ctx = context.WithValue(ctx, http.ServerContextKey, hs)
	}
	done := make(chan struct{})
	t := connTask{hs: hs, connState: hs.ConnState, ctx: ctx, handler: h, tls: connectionState(nc), received: received}
	t.onUntracked = func() { close(done) } // hs.Shutdown waits for handlers, too
	h2.serve(nc, t, func(error) {})
	<-done
}
