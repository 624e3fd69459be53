package proxydial

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/sluice-go/sluice/internal/socket"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// StartTLS does the handshake with a proxy at addr, "host:port", and offers protos. It closes nc
// when that fails. cfg may be nil.
func StartTLS(ctx context.Context, nc net.Conn, addr string, cfg *tls.Config, protos []string) (*tls.Conn, error) {
	cfg, err := TLSConfig(cfg, addr, protos)
	if err != nil {
		_ = nc.Close() // it was not used
		return nil, err
	}
	below := nc
	if tlsbatch.Removable && socket.Of(nc) != nil {
		below = tlsbatch.New(nc)
	}
	tc := tls.Client(below, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close() // it was not used
		return nil, err
	}
	if tc.ConnectionState().NegotiatedProtocol != "h2" {
		tlsbatch.Remove(tc)
	}
	return tc, nil
}

// TLSConfig returns what a TLS client needs to speak one of protos to addr, "host:port": cfg, which
// may be nil and is not changed, with the name of the server unless it has one.
func TLSConfig(cfg *tls.Config, addr string, protos []string) (*tls.Config, error) {
	if cfg == nil {
		cfg = &tls.Config{}
	} else {
		cfg = cfg.Clone()
	}
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		cfg.ServerName = host
	}
	cfg.NextProtos = protos
	return cfg, nil
}
