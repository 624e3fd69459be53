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

	"github.com/sluice-go/sluice/benchmarks/internal/baseline"
	"github.com/sluice-go/sluice/client"
)

// clientEnv is the variable that names, in the environment of a child process, the client that it
// is.
const clientEnv = "SLUICE_COMPARE_CLIENT"

// clientMain runs a client, if this process was started as one, and reports whether it was.
func clientMain() bool {
	name, ok := os.LookupEnv(clientEnv)
	if !ok {
		return false
	}
	if err := requestAs(name, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "compare, as the client:", err)
		os.Exit(1)
	}
	return true
}

// A job is what a client is asked to do.
type job struct {
	URL      string `json:"url"`
	Root     []byte `json:"root,omitempty"` // the server's certificate, for TLS
	Requests int    `json:"requests"`       // 0: the job only collects garbage
	InFlight int    `json:"in_flight"`
	Size     int64  `json:"size"`              // octets of each response body, checked
	Profile  string `json:"profile,omitempty"` // file for a CPU profile
}

// A jobDone is the result of a job.
type jobDone struct {
	Mallocs uint64        `json:"mallocs"`
	Took    time.Duration `json:"took_ns"`
	Dials   int64         `json:"dials"` // dials since the client started
	Problem string        `json:"problem,omitempty"`
}

// requestAs greets, and then does a job for each line of in, until in ends. Connections stay open
// from one job to the next.
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
	requests  func(job) error
	dials     atomic.Int64
}

// prepare makes the client.
func (w *worker) prepare(j job) (err error) {
	if w.name == baselinePeer {
		c, err := baseline.Dial(j.URL)
		if err != nil {
			return err
		}
		w.dials.Add(1)
		w.requests = func(j job) error { return c.Do(j.Requests, j.InFlight, j.Size) }
		return nil
	}
	if w.transport, err = w.newTransport(j.Root); err != nil {
		return err
	}
	w.requests = w.requestAll
	return nil
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
	case sluice:
		return &client.Transport{Protocols: &protocols, TLSClientConfig: cfg, DialContext: dial}, nil
	case netHTTP:
		return &http.Transport{Protocols: &protocols, TLSClientConfig: cfg, DialContext: dial}, nil
	}
	return nil, fmt.Errorf("there is no client %q", w.name)
}

// do does a job.
func (w *worker) do(j job) (r jobDone, err error) {
	if j.Requests == 0 {
		runtime.GC() // so that the job does not pay for earlier garbage
		return r, nil
	}
	if w.requests == nil {
		if err := w.prepare(j); err != nil {
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
	runtime.ReadMemStats(&memory)
	mallocs := memory.Mallocs
	start := time.Now()
	err = w.requests(j)
	r.Took = time.Since(start)
	runtime.ReadMemStats(&memory)
	r.Mallocs = memory.Mallocs - mallocs
	r.Dials = w.dials.Load()
	return r, err
}

// requestAll shares the requests between the goroutines.
func (w *worker) requestAll(j job) error {
	var wg sync.WaitGroup
	problems := make([]error, j.InFlight)
	for i := range j.InFlight {
		share := j.Requests / j.InFlight
		if i < j.Requests%j.InFlight {
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
		if err == io.EOF {
			return size, nil
		}
		if err != nil {
			return size, err
		}
	}
}
