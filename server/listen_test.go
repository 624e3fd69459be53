package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluice-go/sluice/internal/selfsigned"
)

// reportAddr makes srv tell the address that it listens on.
func reportAddr(srv *Server) chan string {
	addr := make(chan string, 1)
	srv.Addr = "127.0.0.1:0"
	srv.BaseContext = func(l net.Listener) context.Context {
		addr <- l.Addr().String()
		return context.Background()
	}
	return addr
}

// TestListenAndServe serves a file over TCP, which net/http may hand to the kernel.
func TestListenAndServe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	content := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	srv := serving(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) })
	addr := reportAddr(srv)
	served := make(chan error)
	go func() { served <- srv.ListenAndServe() }()
	nc, err := net.Dial("tcp", <-addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); !bytes.Equal(got, content) || err != nil {
		t.Errorf("%d octets, %v", len(got), err)
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("ListenAndServe: %v", err)
	}
}

func TestListenAndServeTLS(t *testing.T) {
	cert, err := selfsigned.Certificate("example.test")
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, err := selfsigned.WriteFiles(t.TempDir(), &cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)

	srv := serving(tlsHandler)
	addr := reportAddr(srv)
	served := make(chan error)
	go func() { served <- srv.ListenAndServeTLS(certFile, keyFile) }()
	c, err := tls.Dial("tcp", <-addr, &tls.Config{RootCAs: roots, ServerName: "example.test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := http1(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); got != "200 OK HTTP/1.1 example.test " {
		t.Errorf("%s", got)
	}
	if err := srv.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("ListenAndServeTLS: %v", err)
	}
	if err := srv.ListenAndServeTLS(certFile, keyFile); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := (&Server{Addr: "127.0.0.1:-1"}).ListenAndServe(); err == nil {
		t.Error("no error for a bad address")
	}
}

func TestDefaultServeMux(t *testing.T) {
	http.HandleFunc("/sluice-default-mux", okHandler)
	for _, srv := range []*Server{{}, {DisableGeneralOptionsHandler: true}} {
		client, server := net.Pipe()
		go srv.ServeConn(server)
		if got := http1(t, client, "GET /sluice-default-mux HTTP/1.1\r\nHost: a\r\n\r\n"); got != "200 OK ok HTTP/1.1" {
			t.Errorf("%s", got)
		}
		_ = client.Close()
	}
}
