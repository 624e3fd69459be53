package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/baseline"
	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/server"
)

// servers are the servers that this program itself can be, as a child process: they come from the
// same compiler.
var servers = map[string]func(peerserver.Spec) (peerserver.Server, error){
	sluice:       sluiceServer,
	sluiceConn:   connServer,
	netHTTP:      peerserver.NetHTTP,
	baselinePeer: baseline.NewServer,
}

// sluiceServer is package server with an ordinary http.Handler.
func sluiceServer(spec peerserver.Spec) (peerserver.Server, error) {
	cfg, err := spec.TLS()
	if err != nil {
		return peerserver.Server{}, err
	}
	s := &server.Server{
		Handler: http.HandlerFunc(peerserver.Handler), TLSConfig: cfg, ErrorLog: peerserver.Quiet,
		Config: server.Config{MaxConcurrentStreams: spec.MaxStreams},
	}
	return peerserver.Server{
		What:  "this module's server, " + runtime.Version(),
		Serve: peerserver.ServeFunc(s, cfg != nil),
		Close: s.Close,
	}, nil
}

// connServer is a handler on conn.Stream, without net/http's types. It has the
// paths of small requests only.
func connServer(spec peerserver.Spec) (peerserver.Server, error) {
	cfg, err := spec.TLS()
	if err != nil {
		return peerserver.Server{}, err
	}
	if cfg != nil {
		cfg.NextProtos = []string{"h2"}
	}
	h := &streamServer{cfg: cfg, maxStreams: spec.MaxStreams}
	h.tellTime()
	return peerserver.Server{
		What:  "a handler on this module's conn.Stream, " + runtime.Version(),
		Serve: h.serve,
		Close: h.close,
	}, nil
}

// A streamServer answers on the goroutine that reads, which is the quickest way for a handler that
// never waits.
type streamServer struct {
	cfg        *tls.Config // nil for h2c
	maxStreams int
	l          net.Listener
	heads      [2]atomic.Pointer[[]header.Field] // of Hello and of Fields, with the time of this second
	body       []byte
	clock      *time.Timer
}

func (h *streamServer) serve(l net.Listener) error {
	h.l, h.body = l, []byte(peerserver.Answer)
	if h.cfg != nil {
		h.l = tls.NewListener(l, h.cfg)
	}
	for {
		nc, err := h.l.Accept()
		if err != nil {
			return err
		}
		c := conn.NewServer(nc, conn.Config{MaxConcurrentStreams: h.maxStreams}, h)
		go c.Serve() //nolint:errcheck // a client that ends its connection is no fault
	}
}

func (h *streamServer) close() error { return h.l.Close() } // the process ends with it

// setTime makes the response heads of this second.
func (h *streamServer) tellTime() {
	hello := []header.Field{
		{Name: ":status", Value: "200"},
		{Name: "content-type", Value: "text/plain; charset=utf-8"},
		{Name: "content-length", Value: strconv.Itoa(len(peerserver.Answer))},
		{Name: "date", Value: time.Now().UTC().Format(http.TimeFormat)},
	}
	fields := hello[:len(hello):len(hello)]
	for _, f := range peerserver.FieldList() {
		fields = append(fields, header.Field{Name: strings.ToLower(f.Name), Value: f.Value})
	}
	h.heads[0].Store(&hello)
	h.heads[1].Store(&fields)
	h.clock = time.AfterFunc(time.Second, h.tellTime)
}

// HandleStreams implements [conn.Handler].
func (h *streamServer) HandleStreams(batch []*conn.Stream) {
	c := batch[0].Conn()
	for _, s := range batch {
		head := &h.heads[0]
		if s.Message().Path == peerserver.Fields {
			head = &h.heads[1]
		}
		if s.ReplyAndRelease(*head.Load(), h.body, nil) != nil {
			s.Release() // the client has reset the stream
		}
	}
	c.Flush()
}

// StreamBlocked implements [conn.Handler].
func (*streamServer) StreamBlocked(*conn.Stream) {}

// ConnState implements [conn.Handler].
func (*streamServer) ConnState(bool) {}
