package tunnel

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// sendHeader writes the header of the PROXY protocol to a new connection where ProxyProtocol asks
// for it. On an error, a *Refusal, the connection is closed.
func (p *Proxy) sendHeader(ctx context.Context, c net.Conn, t *Target) (net.Conn, error) {
	version := p.proxyProtocolVersion(t)
	if version == 0 {
		return c, nil
	}
	err := writeHeader(ctx, c, version, t.Client)
	if err == nil {
		return c, nil
	}
	_ = c.Close()
	return nil, &Refusal{
		Status: http.StatusBadGateway, Type: "connection_terminated",
		Details: "the connection ended before the header of the PROXY protocol was written", Err: err,
	}
}

func (p *Proxy) proxyProtocolVersion(t *Target) int {
	if p.ProxyProtocol == nil || t.Kind == KindUDP || t.Kind == KindRequest {
		return 0
	}
	return p.ProxyProtocol(t)
}

func writeHeader(ctx context.Context, c net.Conn, version int, client netip.AddrPort) error {
	if version != 1 && version != 2 {
		return fmt.Errorf("the PROXY protocol has no version %d", version)
	}
	b, err := formatHeader(byte(version), client, c.RemoteAddr())
	if err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.SetWriteDeadline(deadline)
	}
	if _, err := c.Write(b); err != nil {
		return err
	}
	return c.SetWriteDeadline(time.Time{})
}

// formatHeader returns a header that says that client has connected to remote. Where one of them is
// IPv4 and the other IPv6, both are written as IPv6. Where an address is unknown, the header says
// so: UNKNOWN in version 1, LOCAL in version 2.
func formatHeader(version byte, client netip.AddrPort, remote net.Addr) ([]byte, error) {
	h := &proxyproto.Header{Version: version, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}
	tcp, ok := remote.(*net.TCPAddr)
	if !ok || !client.IsValid() || !tcp.AddrPort().IsValid() {
		return h.Format()
	}
	from, to := client.Addr().Unmap().WithZone(""), tcp.AddrPort().Addr().Unmap().WithZone("")
	h.Command, h.TransportProtocol = proxyproto.PROXY, proxyproto.TCPv4
	if from.Is6() || to.Is6() {
		h.TransportProtocol = proxyproto.TCPv6
		from, to = netip.AddrFrom16(from.As16()), netip.AddrFrom16(to.As16())
	}
	h.SourceAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, client.Port()))
	h.DestinationAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(to, uint16(tcp.Port)))
	return h.Format()
}
