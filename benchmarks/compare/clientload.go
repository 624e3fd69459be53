package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/bench"
	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
)

// A clientLoad is what a client has to do: GETs over one connection to nghttpd.
type clientLoad struct {
	TLS      bool
	InFlight int
	Down     int64 // octets of a response; 0 is those of peerserver.Answer
}

var allocations = figure{"allocations_per_request", "allocations/request", 1}

func (cl clientLoad) can(p peer) bool { return p.client && !(p.baseline && (cl.TLS || cl.Down > 0)) }

func (cl clientLoad) size() int64 {
	if cl.Down == 0 {
		return int64(len(peerserver.Answer))
	}
	return cl.Down
}

// A clientRun is a client with its server.
type clientRun struct {
	srv   *running
	child *bench.Child
	job   job
}

func (cl clientLoad) start(ctx context.Context, l *runner, p peer, wrap ...string) (*clientRun, error) {
	if err := nghttpdProgram.missing(); err != nil {
		return nil, err
	}
	// More streams than are needed, so that one connection does for all.
	srv, err := nghttpdProgram.startOn(ctx, l, need{TLS: cl.TLS, MaxStreams: 1000}, l.loadCPU)
	if err != nil {
		return nil, err
	}
	r := &clientRun{srv: srv, job: job{URL: "http://" + srv.addr + peerserver.Hello, InFlight: 1, Size: cl.size()}}
	if cl.TLS {
		r.job.URL, r.job.Root = "https://"+srv.addr+peerserver.Hello, l.root
	}
	if cl.Down > 0 {
		r.job.URL += largeFile
	}
	if r.child, err = bench.Start(ctx, clientEnv+"="+p.Name, l.serverCPU, wrap); err != nil {
		srv.stop()
		return nil, err
	}
	// Until there is a connection, net/http dials one for each request.
	if _, err := r.do(1); err != nil {
		r.stop()
		return nil, err
	}
	r.job.InFlight = cl.InFlight
	return r, nil
}

func (r *clientRun) stop() {
	_ = r.child.Stop() // how it ends is of no interest once it has been measured
	r.srv.stop()
}

// do has the client make n requests; with 0 it only collects garbage.
func (r *clientRun) do(n int) (jobDone, error) {
	var d jobDone
	r.job.Requests = n
	if err := r.child.Ask(r.job, &d); err != nil {
		return d, err
	}
	if d.Problem != "" {
		return d, errors.New(d.Problem)
	}
	if d.Dials > 1 {
		return d, fmt.Errorf("the client made %d connections", d.Dials)
	}
	return d, nil
}

// warm makes the client's connection and lets it grow what it needs, and
// returns how many requests fill a round.
func (cl clientLoad) warm(l *runner, p peer, r *clientRun) (int, error) {
	n := 20 * cl.InFlight
	if cl.Down > 0 {
		n = cl.InFlight
	}
	n, err := l.warm(p, n, cl.InFlight, func(n int) (time.Duration, error) {
		d, err := r.do(n)
		return d.Took, err
	})
	if err == nil {
		_, err = r.do(0)
	}
	return n, err
}

func (cl clientLoad) measure(ctx context.Context, l *runner, p peer) (figures, error) {
	r, err := cl.start(ctx, l, p)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	l.what[nghttpd] = r.srv.what
	n, err := cl.warm(l, p, r)
	if err != nil {
		return nil, err
	}
	u, err := startUse(r.child.Process, r.srv.Process)
	if err != nil {
		return nil, err
	}
	d, err := r.do(n)
	if err != nil {
		return nil, err
	}
	if err := u.end(); err != nil {
		return nil, err
	}
	m := cost(n, cl.Down, d.Took, u.cpu, u.loadCPU)
	m.set(allocations, float64(d.Mallocs)/float64(n))
	m.set(perRead, bench.Per(n, u.reads))
	m.set(perWrite, bench.Per(n, u.writes))
	return m, nil
}
