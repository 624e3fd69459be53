package server_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// Every callback that is given a connection of a server sees what the listener gave.
func TestCallbacksSeeTheirConn(t *testing.T) {
	cert, err := selfsigned.Certificate("localhost")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[string]int{}
	see := func(who string, nc net.Conn) {
		mu.Lock()
		defer mu.Unlock()
		seen[who]++
		if tc, ok := nc.(*tls.Conn); ok {
			nc = tc.NetConn()
		}
		if _, ok := nc.(*net.TCPConn); !ok {
			t.Errorf("%s sees a %T", who, nc)
		}
	}
	getCertificate := func(who string) func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			see(who, h.Conn)
			return &cert, nil
		}
	}
	for name, s := range map[string]*server.Server{
		"hello": {TLSConfig: &tls.Config{GetCertificate: getCertificate("GetCertificate")}},
		"config": {TLSConfig: &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			see("GetConfigForClient", h.Conn)
			return &tls.Config{NextProtos: []string{"h2"}, GetCertificate: getCertificate("GetCertificate of that")}, nil
		}}},
		"ConnContext": {
			TLSConfig:   &tls.Config{Certificates: []tls.Certificate{cert}},
			ConnContext: func(ctx context.Context, c net.Conn) context.Context { see("ConnContext", c); return ctx },
		},
		"ConnState": {
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
			ConnState: func(c net.Conn, _ http.ConnState) { see("ConnState", c) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
			go s.ServeTLS(l, "", "") // ends with Close
			defer s.Close()
			tr := &client.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			defer tr.CloseIdleConnections()
			resp, err := tr.RoundTrip(newRequest("https://"+l.Addr().String(), nil))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.ProtoMajor != 2 {
				t.Errorf("the protocol is %s", resp.Proto)
			}
		})
	}
	mu.Lock()
	defer mu.Unlock()
	for _, who := range []string{
		"GetCertificate", "GetConfigForClient", "GetCertificate of that", "ConnContext", "ConnState",
	} {
		if seen[who] == 0 {
			t.Errorf("%s was not called", who)
		}
	}
}
