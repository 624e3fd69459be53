package server

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/internal/selfsigned"
)

// connKind is one way for a client to reach ServeConnWith.
type connKind struct {
	name  string
	tls   bool
	alpn  []string
	http1 bool
}

var connKinds = []connKind{
	{name: "h2c"},
	{name: "http/1.1", http1: true},
	{name: "h2", tls: true, alpn: []string{"h2"}},
	{name: "TLS without ALPN, HTTP/2", tls: true},
	{name: "TLS, http/1.1", tls: true, alpn: []string{"http/1.1"}, http1: true},
	{name: "TLS without ALPN, HTTP/1.1", tls: true, http1: true},
}

// link is what the connection is made of: the HTTP/1.1 of net/http needs deadlines that work.
func (w connKind) link(t testing.TB) memconn.Options {
	t.Helper()
	link := clearLink(t)
	if w.http1 && !pauseEnds() {
		return memconn.Options{}
	}
	return link
}

// tlsPair does a handshake over a new connection.
func tlsPair(t *testing.T, link memconn.Options, alpn []string) (client, server *tls.Conn) {
	t.Helper()
	cert, err := selfsigned.Certificate("example.test")
	if err != nil {
		t.Fatal(err)
	}
	c, s := memconn.Connect(link)
	client = tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: alpn}) //nolint:gosec // a test's
	server = tls.Server(s, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}})
	done := make(chan error, 1)
	go func() { done <- server.HandshakeContext(t.Context()) }()
	if err := client.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return client, server
}

// pair is a connection of that way; TLS is there already.
func (w connKind) pair(t *testing.T) (client halfCloser, server net.Conn) {
	if w.tls {
		return tlsPair(t, w.link(t), w.alpn)
	}
	return memconn.Connect(w.link(t))
}

// request is what a client of that way sends, from its first octet on.
func (w connKind) request(p *peer, path string, fields ...string) []byte {
	if !w.http1 {
		b := frame.AppendSettings([]byte(frame.Preface))
		return p.codec.Append(b, p.request(1, "POST", path, true, fields...))
	}
	s := "POST " + path + " HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n"
	for i := 0; i < len(fields); i += 2 {
		s += fields[i] + ": " + fields[i+1] + "\r\n"
	}
	return []byte(s + "\r\n")
}

// ask serves a connection of that way with o, of whose octets given were read before, and returns
// what the client of the request got: frames, or the octets of HTTP/1.1, and what ServeConnWith
// returned.
func (w connKind) ask(
	t *testing.T, srv *Server, o ConnOptions, given int, path string, fields ...string,
) (string, error) {
	t.Helper()
	client, server := w.pair(t)
	var p *peer
	var octets []byte
	if w.http1 {
		p = &peer{t: t, nc: client}
	} else {
		p = peerOn(t, client)
	}
	send := w.request(p, path, fields...)
	given = min(given, len(send))
	o.Received = send[:given]
	served := make(chan error, 1)
	go func() { served <- srv.ServeConnWith(server, o) }()
	if _, err := client.Write(send[given:]); err != nil {
		t.Error(err)
	}
	if w.http1 {
		octets, _ = io.ReadAll(client)
	}
	synctest.Wait()
	got := string(octets)
	if !w.http1 {
		got = strings.Join(p.take(), "; ")
	}
	_ = client.Close()
	return got, <-served
}
