package main

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
	"github.com/sluice-go/sluice/server"
)

// certificate is that of all servers here.
var certificate = sync.OnceValues(func() (tls.Certificate, error) { return selfsigned.Certificate() })

func tlsConfig() (*tls.Config, error) {
	cert, err := certificate()
	return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}}, err
}

// listener sets the buffers of what it accepts.
type listener struct {
	net.Listener
	buffer int
}

func (l listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err == nil && l.buffer > 0 {
		err = nc.(*net.TCPConn).SetWriteBuffer(l.buffer)
	}
	return nc, err
}

// serve serves what s says on l until stop is called, which waits for the end.
func (s setup) serve(l net.Listener) (stop func() error, err error) {
	l = listener{l, s.Buffer}
	cfg, err := tlsConfig()
	if err != nil {
		return nil, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	var srv interface {
		Serve(l net.Listener) error
		ServeTLS(l net.Listener, certFile, keyFile string) error
		Close() error
	}
	quiet := log.New(io.Discard, "", 0)
	switch s.Via {
	case "server":
		hs := &server.Server{Handler: http.HandlerFunc(s.handle), TLSConfig: cfg, Protocols: protocols, ErrorLog: quiet}
		hs.Scheduler = s.Scheme.Scheduler
		srv = hs
	case "nethttp":
		srv = &http.Server{Handler: http.HandlerFunc(s.handle), TLSConfig: cfg, Protocols: protocols, ErrorLog: quiet}
	default:
		return s.serveConn(l, cfg)
	}
	done := make(chan error, 1)
	go func() { // ends when srv is closed
		if s.TLS != "" {
			done <- srv.ServeTLS(l, "", "")
		} else {
			done <- srv.Serve(l)
		}
	}()
	return func() error {
		err := srv.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}

// handle is the http.Handler.
func (s setup) handle(w http.ResponseWriter, _ *http.Request) {
	if s.Finite > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(s.Finite))
	}
	if s.How == "copy" {
		_, _ = io.Copy(w, s.body()) // fails when the client leaves
		return
	}
	buf := make([]byte, s.Piece)
	for left := s.Finite; s.Finite == 0 || left > 0; left -= len(buf) {
		if s.Finite > 0 {
			buf = buf[:min(left, len(buf))]
		}
		if _, err := w.Write(buf); err != nil {
			return
		}
		if s.How == "flush" {
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
		}
	}
}

// body is what a handler copies: zeros, at most Piece at a time.
func (s setup) body() io.Reader {
	if s.Finite > 0 {
		return io.LimitReader(zeros(s.Piece), int64(s.Finite))
	}
	return zeros(s.Piece)
}

type zeros int

func (z zeros) Read(p []byte) (int, error) {
	n := min(len(p), int(z))
	clear(p[:n])
	return n, nil
}

// serveConn is serve for package conn, which serves one connection.
func (s setup) serveConn(l net.Listener, cfg *tls.Config) (stop func() error, err error) {
	var running sync.WaitGroup
	conns := make(chan *conn.Server, 1)
	running.Go(func() {
		defer close(conns)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		switch s.TLS {
		case "tls":
			nc = tls.Server(tlsbatch.New(nc), cfg)
		case "crypto/tls":
			nc = tls.Server(nc, cfg)
		}
		if tc, ok := nc.(*tls.Conn); ok && tc.Handshake() != nil {
			_ = tc.Close()
			return
		}
		c := conn.NewServer(nc, conn.Config{Scheduler: s.Scheme.Scheduler}, &streams{s: s, running: &running})
		conns <- c
		_ = c.Serve() // ends with the reader
	})
	return func() error {
		err := l.Close()
		if c, ok := <-conns; ok {
			err = errors.Join(err, c.Close())
		}
		running.Wait()
		return err
	}, nil
}

// streams is the conn.Handler.
type streams struct {
	s       setup
	running *sync.WaitGroup
}

func (h *streams) HandleStreams(batch []*conn.Stream) {
	for _, st := range batch {
		h.running.Go(func() {
			c := st.Conn()
			h.s.respond(st)
			st.Release()
			c.Flush()
		})
	}
}

func (h *streams) StreamBlocked(*conn.Stream) {}
func (h *streams) ConnState(bool)             {}

func (s setup) respond(st *conn.Stream) {
	if st.WriteHeaders([]header.Field{{Name: ":status", Value: "200"}}, false) != nil {
		return
	}
	buf := make([]byte, s.Piece)
	for left := s.Finite; s.Finite == 0 || left > len(buf); left -= len(buf) {
		if _, err := st.Write(buf); err != nil {
			return
		}
		if s.How == "flush" {
			st.Conn().Flush()
		}
	}
	_ = st.Finish(buf[:min(s.Finite, len(buf))], nil)
}
