package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// A load is what the connections of a capture carry.
type load struct {
	name  string
	body  int // octets of a response
	conns int
	atime int // requests at once on a connection
}

var loads = []load{
	{"downloads", 8 << 20, 4, 2},
	{"requests", 300, 8, 50},
}

// record writes a capture of about size octets.
func record(ctx context.Context, file string, l load, size int64) error {
	if _, err := os.Stat(file); err == nil {
		return nil // it is there from another run
	}
	w, err := capture.CreatePcap(file)
	if err != nil {
		return err
	}
	if err := l.play(ctx, w, file, size); err != nil {
		_ = w.Close() // err says more
		_ = os.Remove(file)
		return err
	}
	return w.Close()
}

// play has a client ask a server until the file has its size.
func (l load) play(ctx context.Context, w *capture.PcapWriter, file string, size int64) error {
	cert, err := selfsigned.Certificate("127.0.0.1")
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	body := make([]byte, l.body)
	srv := &server.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, KeyLogWriter: w.KeyLogWriter()},
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = rw.Write(body) // the client sees what is missing
		}),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.ServeTLS(w.WrapListener(listener), "", "") }()
	defer func() {
		_ = srv.Close()
		<-ended
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for range l.conns {
		t := &client.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // our own server
		defer t.CloseIdleConnections()
		for range l.atime {
			all.Go(func() { l.ask(ctx, cancel, t, "https://"+listener.Addr().String(), file, size) })
		}
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil && err != errFull { //nolint:errorlint // it is this very value
		return err
	}
	return w.Err()
}

var errFull = fmt.Errorf("the capture has its size")

// ask sends requests until ctx ends, and ends it when the file has its size.
func (l load) ask(
	ctx context.Context, cancel context.CancelCauseFunc, t *client.Transport, url, file string, size int64,
) {
	for n := 0; ctx.Err() == nil; n++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/item/%d", url, n), nil)
		if err != nil {
			cancel(err)
			return
		}
		req.Header.Set("Accept", "text/html,application/json;q=0.9")
		resp, err := t.RoundTrip(req)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if err != nil {
			cancel(err)
			return
		}
		if n%8 == 0 {
			if info, err := os.Stat(file); err != nil || info.Size() >= size {
				cancel(errFull)
				return
			}
		}
	}
}
