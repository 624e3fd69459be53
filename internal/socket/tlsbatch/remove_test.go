package tlsbatch

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/internal/selfsigned"
)

// The field of crypto/tls is where it is expected: a Go release that moves it shows here.
func TestRemovable(t *testing.T) {
	if !Removable {
		t.Error("crypto/tls keeps what it lies on in another way: no Conn can be used on a server")
	}
}

// After Remove a tls.Conn lies on the socket, and no octet that came with the handshake is lost.
func TestRemove(t *testing.T) {
	cert, err := selfsigned.Certificate("example.test")
	if err != nil {
		t.Fatal(err)
	}
	cn, sn := memconn.Pipe(memconn.Options{})
	//nolint:gosec // the certificate was made just now
	client := tls.Client(cn, &tls.Config{InsecureSkipVerify: true})
	server := tls.Server(New(sn), &tls.Config{Certificates: []tls.Certificate{cert}}) //nolint:gosec // the default will do
	much := bytes.Repeat([]byte("much"), 100_000)
	sent := make(chan error, 1)
	go func() {
		_, err := client.Write(much) // its first records come with the end of the handshake
		_ = client.Close()
		sent <- err
	}()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	Remove(server)
	if server.NetConn() != net.Conn(sn) {
		t.Errorf("it lies on a %T", server.NetConn())
	}
	got, err := io.ReadAll(server)
	if err != nil || !bytes.Equal(got, much) {
		t.Errorf("%d octets of %d, %v", len(got), len(much), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	_ = server.Close()
	Remove(server) // there is no Conn any more
	if server.NetConn() != net.Conn(sn) {
		t.Errorf("it lies on a %T", server.NetConn())
	}
}
