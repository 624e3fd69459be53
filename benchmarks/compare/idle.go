package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/benchmarks/internal/bench"
	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
	"github.com/sluice-go/sluice/frame"
)

// idle measures connections that have made one request each, and then stay open.
type idle struct {
	TLS   bool
	Conns int
}

var perConnection = figure{"kib_per_connection", "KiB/idle connection", 1}

func (i idle) can(p peer) bool { return p.start != nil && !p.baseline && !(i.TLS && p.noTLS) }

// measure compares the memory of a server before and after so many connections. A hundred other
// connections were opened and closed before.
func (i idle) measure(ctx context.Context, l *runner, p peer) (figures, error) {
	srv, err := p.start(ctx, l, need{TLS: i.TLS, MaxStreams: 250})
	if err != nil {
		return nil, err
	}
	defer srv.stop()
	l.what[p.Name] = srv.what
	if err := i.hold(ctx, l, srv.addr, 100, nil); err != nil {
		return nil, err
	}
	before, err := srv.settled()
	if err != nil {
		return nil, err
	}
	conns := min(i.Conns, l.conns)
	var after int64
	if err := i.hold(ctx, l, srv.addr, conns, func() (err error) {
		after, err = srv.settled()
		return err
	}); err != nil {
		return nil, err
	}
	m := figures{"connections": float64(conns)}
	m.set(perConnection, float64(after-before)/1024/float64(conns))
	return m, nil
}

// idleFor is how long nothing happens before the memory is read: the scenario is about connections
// that are idle for long, and some servers free memory only then.
const idleFor = 3 * time.Second

// settled returns the memory when the server has nothing left to do.
func (r *running) settled() (int64, error) {
	time.Sleep(idleFor)
	if r.child != nil {
		if err := r.command(peerserver.Command{Settle: true}); err != nil {
			return 0, err
		}
	}
	return r.Memory()
}

// hold has a process of its own hold n connections while f runs.
func (i idle) hold(ctx context.Context, l *runner, addr string, n int, f func() error) error {
	spec, err := json.Marshal(holding{Addr: addr, TLS: i.TLS, Conns: n})
	if err != nil {
		return err
	}
	child, err := bench.Start(ctx, holdEnv+"="+string(spec), l.loadCPU, nil)
	if err != nil {
		return err
	}
	if child.Greeting != "" {
		err = errors.New(child.Greeting)
	} else if f != nil {
		err = f()
	}
	return errors.Join(err, child.Stop())
}

// holdEnv is the variable that says, in the environment of a child process, which connections it is
// to hold, as JSON.
const holdEnv = "SLUICE_COMPARE_HOLD"

type holding struct {
	Addr  string `json:"addr"`
	TLS   bool   `json:"tls"`
	Conns int    `json:"conns"`
}

// holdMain holds connections, if this process was started for that, and reports whether it was.
func holdMain() bool {
	setting, ok := os.LookupEnv(holdEnv)
	if !ok {
		return false
	}
	var h holding
	if err := json.Unmarshal([]byte(setting), &h); err != nil {
		fmt.Fprintln(os.Stderr, "compare, as a client:", err)
		os.Exit(1)
	}
	conns, err := h.open()
	if err != nil {
		fmt.Println(err)
	} else {
		fmt.Println() // all connections are open
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until the input ends
	for _, nc := range conns {
		nc.Close()
	}
	return true
}

// open opens the connections, a few at a time.
func (h holding) open() (conns []net.Conn, err error) {
	const atOnce = 16
	conns = make([]net.Conn, h.Conns)
	var wg sync.WaitGroup
	problems := make([]error, atOnce)
	for first := range atOnce {
		wg.Go(func() {
			for i := first; i < len(conns) && problems[first] == nil; i += atOnce {
				conns[i], problems[first] = h.connect()
			}
		})
	}
	wg.Wait()
	for i, nc := range conns {
		if nc == nil { // it could not be opened
			return conns[:i], errors.Join(problems...)
		}
	}
	return conns, nil
}

// connect opens a connection and makes one request.
func (h holding) connect() (net.Conn, error) {
	nc, err := net.Dial("tcp", h.Addr)
	if err != nil {
		return nil, err
	}
	if h.TLS {
		nc = tls.Client(
			nc,
			&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}},
		) //nolint:gosec // the server is our own
	}
	if err := h.request(nc); err != nil {
		nc.Close()
		return nil, err
	}
	return nc, nil
}

// request is the preface, a GET and its response.
func (h holding) request(nc net.Conn) error {
	const patience = 30 * time.Second
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	scheme := "http"
	if h.TLS {
		scheme = "https"
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: scheme},
		{Name: ":authority", Value: h.Addr},
		{Name: ":path", Value: peerserver.Hello},
		{Name: "user-agent", Value: "compare"},
	} {
		if err := enc.WriteField(f); err != nil {
			return err
		}
	}
	out := frame.AppendSettings([]byte(frame.Preface))
	out = frame.Headers{StreamID: 1, EndStream: true, EndHeaders: true, Fragment: block.Bytes()}.Append(out)
	if _, err := nc.Write(out); err != nil {
		return err
	}
	if err := awaitEnd(nc); err != nil {
		return err
	}
	return nc.SetDeadline(time.Time{})
}

// awaitEnd reads frames until the response has ended.
func awaitEnd(nc net.Conn) error {
	const (
		ack       = 1 // of SETTINGS
		endStream = 1 // of DATA and HEADERS
	)
	r := bufio.NewReaderSize(nc, 512)
	head := make([]byte, 9)
	for {
		if _, err := io.ReadFull(r, head); err != nil {
			return err
		}
		h := frame.ParseHeader(head)
		if _, err := r.Discard(int(h.Length)); err != nil {
			return err
		}
		switch {
		case h.Type == frame.TypeGoAway || h.Type == frame.TypeRSTStream:
			return fmt.Errorf("instead of an answer came %v", h)
		case h.Type == frame.TypeSettings && h.Flags&ack == 0:
			if _, err := nc.Write(frame.AppendSettingsAck(nil)); err != nil {
				return err
			}
		case h.StreamID == 1 && h.Flags&endStream != 0:
			return nil
		}
	}
}
