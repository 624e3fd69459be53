package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/lab"
	"github.com/sluice-go/sluice/client"
)

// clientEnv names, in the environment of a child process, the client that it
// is to be.
const clientEnv = "SLUICE_COMPARE_CLIENT"

// A job is what the parent asks of a child.
type job struct {
	URL         string `json:"url"`
	Root        []byte `json:"root,omitempty"` // the server's certificate, for TLS
	Requests    int    `json:"requests"`
	Concurrency int    `json:"concurrency"`
	Size        int64  `json:"size"`              // of each body, to the octet
	Profile     string `json:"profile,omitempty"` // file for a CPU profile
}

// A result is what the job has taken of the child.
type result struct {
	Used    lab.Usage     `json:"used"`
	Mallocs uint64        `json:"mallocs"`
	Took    time.Duration `json:"took_ns"`
	Dials   int64         `json:"dials"` // connections since the child started
	Problem string        `json:"problem,omitempty"`
}

// requestAs is the child: it greets, and then does a job for each line of in,
// until in ends. Connections live from one job to the next.
func requestAs(name string, in io.Reader, out io.Writer) error {
	fmt.Fprintln(out, name)
	enc := json.NewEncoder(out)
	w := worker{name: name}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var j job
		err := json.Unmarshal(lines.Bytes(), &j)
		if err != nil {
			return err
		}
		r, err := w.do(j)
		if err != nil {
			r.Problem = err.Error()
		}
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// A worker does the jobs of one client.
type worker struct {
	name      string
	transport http.RoundTripper // made for the first job
	dials     atomic.Int64
}

// newTransport returns the client with its defaults.
func (w *worker) newTransport(root []byte) (http.RoundTripper, error) {
	var protocols http.Protocols
	cfg := &tls.Config{RootCAs: x509.NewCertPool()}
	if len(root) > 0 {
		protocols.SetHTTP2(true)
		cert, err := x509.ParseCertificate(root)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs.AddCert(cert)
	} else {
		protocols.SetUnencryptedHTTP2(true)
	}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		w.dials.Add(1)
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}
	switch w.name {
	case lab.Sluice:
		return &client.Transport{Protocols: &protocols, TLSClientConfig: cfg, DialContext: dial}, nil
	case lab.NetHTTP:
		return &http.Transport{Protocols: &protocols, TLSClientConfig: cfg, DialContext: dial}, nil
	}
	return nil, fmt.Errorf("there is no client %q", w.name)
}

// do does a job and measures it.
func (w *worker) do(j job) (r result, err error) {
	if w.transport == nil {
		if w.transport, err = w.newTransport(j.Root); err != nil {
			return r, err
		}
	}
	if j.Profile != "" {
		f, err := os.Create(j.Profile)
		if err != nil {
			return r, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return r, err
		}
		defer pprof.StopCPUProfile()
	}
	var memory runtime.MemStats
	runtime.GC() // no side pays for what was there before
	runtime.ReadMemStats(&memory)
	mallocs := memory.Mallocs
	before, err := lab.Use()
	if err != nil {
		return r, err
	}
	start := time.Now()
	err = w.requestAll(j)
	r.Took = time.Since(start)
	after, useErr := lab.Use()
	runtime.ReadMemStats(&memory)
	r.Mallocs = memory.Mallocs - mallocs
	r.Used = lab.Usage{CPU: after.CPU - before.CPU, Reads: after.Reads - before.Reads, Writes: after.Writes - before.Writes}
	r.Dials = w.dials.Load()
	return r, errors.Join(err, useErr)
}

// requestAll shares the requests between the goroutines.
func (w *worker) requestAll(j job) error {
	var wg sync.WaitGroup
	problems := make([]error, j.Concurrency)
	for i := range j.Concurrency {
		share := j.Requests / j.Concurrency
		if i < j.Requests%j.Concurrency {
			share++
		}
		wg.Go(func() { problems[i] = w.request(j, share) })
	}
	wg.Wait()
	return errors.Join(problems...)
}

// request makes n requests, one after the other.
func (w *worker) request(j job, n int) error {
	req, err := http.NewRequest(http.MethodGet, j.URL, nil)
	if err != nil {
		return err
	}
	buf := make([]byte, min(j.Size+1, 32<<10)) // as much as io.Copy takes
	for range n {
		resp, err := w.transport.RoundTrip(req)
		if err != nil {
			return err
		}
		size, err := drain(resp.Body, buf)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 || size != j.Size {
			return fmt.Errorf("%s %s with %d octets, want %d over HTTP/2", resp.Proto, resp.Status, size, j.Size)
		}
	}
	return nil
}

// drain reads to the end.
func drain(r io.Reader, buf []byte) (size int64, err error) {
	for {
		n, err := r.Read(buf)
		size += int64(n)
		if errors.Is(err, io.EOF) {
			return size, nil
		}
		if err != nil {
			return size, err
		}
	}
}
