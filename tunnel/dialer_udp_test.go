package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/server"
)

// echoUDP sends datagrams back, on 127.0.0.1 or ::1, until the test ends.
func echoUDP(t *testing.T, addr string, answer func(b []byte) []byte) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Skip(err) // there is no IPv6
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = pc.WriteTo(answer(b[:n]), from)
		}
	}()
	return pc.LocalAddr().String()
}

// dialer returns a Dialer for a way to the proxy.
func (e *proxyEnv) udpDialer(way string) *Dialer {
	u := &url.URL{Scheme: "http", Host: e.plain}
	tlsConfig := e.transport(way).TLSClientConfig
	switch way {
	case overH2, overHTTPS1:
		u = &url.URL{Scheme: "https", Host: e.tls}
	case overH2C:
		u.Scheme = "h2c"
	}
	d := &Dialer{Proxy: u, TLSClientConfig: tlsConfig}
	if way == overHTTPS1 {
		d.Authenticate = func(context.Context, *Challenge) (string, error) { return "", nil } // has HTTP/1.1 spoken
	}
	e.t.Cleanup(func() { _ = d.Close() })
	return d
}

// Datagrams go through sockets, in each way to the proxy, whole and with their boundaries.
func TestDialUDP(t *testing.T) {
	e := newProxy(t, &Proxy{UDP: true})
	for _, way := range allWays {
		for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
			t.Run(way+" "+listen, func(t *testing.T) {
				target := echoUDP(t, listen, func(b []byte) []byte { return b })
				pc, err := e.udpDialer(way).DialUDP(t.Context(), target)
				if err != nil {
					t.Fatal(err)
				}
				defer pc.Close()
				_ = pc.SetDeadline(time.Now().Add(testTimeout))
				remote := pc.(net.Conn).RemoteAddr()
				b := make([]byte, 1<<16)
				for _, n := range []int{1, 0, 1200, 9000, 60000} {
					want := strings.Repeat("x", n)
					if _, err := pc.WriteTo([]byte(want), remote); err != nil {
						t.Fatal(err)
					}
					got, from, err := pc.ReadFrom(b)
					if err != nil || string(b[:got]) != want || from.String() != target {
						t.Fatalf("%d of %d octets from %v, %v", got, n, from, err)
					}
				}
				if _, err := pc.WriteTo(make([]byte, 1<<16), remote); !errors.Is(err, syscall.EMSGSIZE) {
					t.Errorf("a datagram that is too long: %v", err)
				}
				_ = pc.SetReadDeadline(time.Now().Add(-time.Second))
				if _, _, err := pc.ReadFrom(b); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("after the deadline: %v", err)
				}
				_ = pc.Close()
				rec := e.record()
				if rec.Kind != KindUDP || rec.Target != target || rec.Addr != target || rec.Sent != 70201 ||
					rec.Received != 70201 {
					t.Errorf("the record is %+v", rec)
				}
			})
		}
	}
}

// The credentials of Digest are for the method and the target that the request for UDP has.
func TestDialUDPDigest(t *testing.T) {
	e := newProxy(t, &Proxy{UDP: true, Auth: newDigestFile(t)})
	target := echoUDP(t, "127.0.0.1:0", func(b []byte) []byte { return b })
	for _, way := range []string{overHTTP1, overH2, overH2C} {
		d := e.udpDialer(way)
		d.Proxy.User = url.UserPassword("anna", "sesame")
		for range 2 { // the second time without a challenge
			pc, err := d.DialUDP(t.Context(), target)
			if err != nil {
				t.Errorf("%s: %v", way, err)
				break
			}
			_ = pc.Close()
		}
	}
}

// A resolver of DNS asks over UDP through the proxy.
func TestDNSThroughUDP(t *testing.T) {
	server := echoUDP(t, "127.0.0.1:0", func(b []byte) []byte {
		var m dnsmessage.Message
		if err := m.Unpack(b); err != nil {
			t.Error(err)
			return nil
		}
		m.Response, m.Additionals = true, nil
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA && q.Name.String() == "inside.example." {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60},
				Body:   &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}},
			}}
		}
		out, err := m.Pack()
		if err != nil {
			t.Error(err)
		}
		return out
	})
	e := newProxy(t, &Proxy{UDP: true})
	d := e.udpDialer(overH2)
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		if !strings.HasPrefix(network, "udp") {
			return nil, fmt.Errorf("dialled %s", network)
		}
		pc, err := d.DialUDP(ctx, server)
		if err != nil {
			return nil, err
		}
		return pc.(net.Conn), nil
	}}
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	addrs, err := resolver.LookupHost(ctx, "inside.example.")
	if err != nil || len(addrs) != 1 || addrs[0] != "192.0.2.7" {
		t.Errorf("%v, %v", addrs, err)
	}
}

// Each reason for there being no tunnel is told.
func TestDialUDPErrors(t *testing.T) {
	off, on := newProxy(t, &Proxy{}), newProxy(t, &Proxy{UDP: true})
	without := &server.Server{Handler: &Proxy{UDP: true}}
	l := listen(t)
	go func() { _ = without.Serve(l) }()
	defer without.Close()
	nobody := refusesUDP(t)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	for _, way := range allWays {
		_, err := off.udpDialer(way).DialUDP(ctx, nobody)
		var refused *ProxyError
		if !errors.As(err, &refused) || refused.StatusCode != http.StatusForbidden ||
			!strings.Contains(string(refused.Body), "no tunnels for UDP") {
			t.Errorf("%s, UDP is off: %v", way, err)
		}
		pc, err := on.udpDialer(way).DialUDP(ctx, nobody)
		if err != nil {
			t.Fatal(err)
		}
		_ = pc.SetDeadline(time.Now().Add(testTimeout))
		_, _ = pc.(net.Conn).Write([]byte("is anyone there?"))
		_, _, err = pc.ReadFrom(make([]byte, 9))
		var stream *frame.StreamError
		if way == overH2 || way == overH2C {
			if !errors.As(err, &stream) || stream.Code != frame.ConnectError {
				t.Errorf("%s, nobody is there: %v", way, err)
			}
		} else if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s, nobody is there: %v", way, err)
		}
		_ = pc.Close()
		if rec := on.record(); rec.End != EndTargetReset {
			t.Errorf("%s: the record is %+v", way, rec)
		}
	}
	d := &Dialer{Proxy: &url.URL{Scheme: "h2c", Host: l.Addr().String()}}
	defer d.Close()
	if _, err := d.DialUDP(ctx, nobody); !errors.Is(err, ErrNoConnectProtocol) {
		t.Errorf("no extended CONNECT: %v", err)
	}
	for _, d := range []*Dialer{
		{Proxy: &url.URL{Scheme: "socks5", Host: "127.0.0.1:1"}},
		{Proxy: &url.URL{Scheme: "http", Host: refusesTCP(t)}},
	} {
		if _, err := d.DialUDP(ctx, "192.0.2.6:53"); err == nil {
			t.Errorf("%s: a tunnel", d.Proxy)
		}
		if _, err := d.DialUDP(ctx, "192.0.2.6"); err == nil {
			t.Errorf("%s: a tunnel without a port", d.Proxy)
		}
	}
}

// Without a proxy DialUDP is a socket that is used alike.
func TestDialUDPDirect(t *testing.T) {
	target := echoUDP(t, "127.0.0.1:0", func(b []byte) []byte { return b })
	pc, err := new(Dialer).DialUDP(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	_ = pc.SetDeadline(time.Now().Add(testTimeout))
	if _, err := pc.WriteTo([]byte("x"), pc.LocalAddr()); err == nil {
		t.Error("a datagram to another target was sent")
	}
	if _, err := pc.WriteTo([]byte("ping"), pc.(net.Conn).RemoteAddr()); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 9)
	if n, from, err := pc.ReadFrom(b); err != nil || string(b[:n]) != "ping" || from.String() != target {
		t.Errorf("%q from %v, %v", b[:n], from, err)
	}
}
