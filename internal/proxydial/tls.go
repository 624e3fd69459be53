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
	if cfg == nil {
		cfg = &tls.Config{}
	} else {
		cfg = cfg.Clone()
	}
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			_ = nc.Close() // it was not used
			return nil, err
		}
		cfg.ServerName = host
	}
	cfg.NextProtos = protos
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
