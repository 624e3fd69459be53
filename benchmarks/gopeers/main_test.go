package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
	"github.com/sluice-go/sluice/client"
)

// Every server gives the answers of package peerserver.
func TestServers(t *testing.T) {
	for name, newServer := range servers {
		t.Run(strings.ReplaceAll(name, "/", "-"), func(t *testing.T) {
			s, err := newServer(peerserver.Spec{Name: name, MaxStreams: 250})
			if err != nil {
				t.Fatal(err)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(l) }()
			t.Log(s.What)
			ask(t, name, "http://"+l.Addr().String())
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			<-ended
		})
	}
}

func ask(t *testing.T, name, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	tr := &client.Transport{Protocols: &protocols}
	defer tr.CloseIdleConnections()
	for path, want := range map[string]int{
		peerserver.Hello: 13, peerserver.Fields: 13, peerserver.Upload: 13,
		peerserver.MiB: 1 << 20, peerserver.TenMiB: 10 << 20,
	} {
		method, body := http.MethodGet, []byte(nil)
		if path == peerserver.Upload {
			method, body = http.MethodPost, make([]byte, 1<<20)
		}
		if name == "dgrr" && path != peerserver.Hello && path != peerserver.Fields {
			continue // v0.3.5 loses large bodies
		}
		req, err := http.NewRequestWithContext(ctx, method, url+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(path, err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || len(got) != want {
			t.Errorf("%s: %s, %d octets, %v", path, resp.Status, len(got), err)
		}
		last := fmt.Sprintf("X-Field-%02d", peerserver.NumFields)
		if path == peerserver.Fields && resp.Header.Get(last) == "" {
			t.Errorf("%s lacks %s", path, last)
		}
	}
}
