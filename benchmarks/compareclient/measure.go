package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/lab"
)

// measure runs one round: a fresh process, a tenth of the requests to warm it
// up, and then all of them. profile, unless empty, is the file for a profile.
func measure(ctx context.Context, c config, st *site, name string, s scenario, profile string) (m measurement, err error) {
	child, err := lab.Start(ctx, clientEnv+"="+name, c.clientCPU)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, child.Stop()) }()
	srv, url, root := st.of(s)
	// The first request alone, so that all share the connection that it makes.
	small := strings.Replace(url, "/large", "/hello", 1)
	if _, err := ask(child, job{URL: small, Root: root, Requests: 1, Concurrency: 1, Size: int64(len(hello))}); err != nil {
		return m, err
	}
	n := s.requests(c)
	if !s.Download {
		if _, err := ask(child, job{URL: url, Root: root, Requests: max(n/10, s.Concurrency), Concurrency: s.Concurrency, Size: s.size(c)}); err != nil {
			return m, err
		}
	}
	before, err := srv.cpu()
	if err != nil {
		return m, err
	}
	r, err := ask(child, job{URL: url, Root: root, Requests: n, Concurrency: s.Concurrency, Size: s.size(c), Profile: profile})
	if err != nil {
		return m, err
	}
	after, err := srv.cpu()
	if err != nil {
		return m, err
	}
	if r.Dials != 1 {
		return m, fmt.Errorf("the client made %d connections", r.Dials)
	}
	return r.measurement(name, s, n, s.size(c), after-before), nil
}

// ask has a child do a job.
func ask(child *lab.Child, j job) (r result, err error) {
	if err := child.Ask(j, &r); err != nil {
		return r, err
	}
	if r.Problem != "" {
		return r, errors.New(r.Problem)
	}
	return r, nil
}

func (r result) measurement(name string, s scenario, n int, size int64, server time.Duration) measurement {
	cpu := time.Duration(r.Used.CPU) * time.Microsecond
	bodies := float64(size) * float64(n)
	return measurement{
		Scenario:    s.Name,
		Client:      name,
		Requests:    n,
		CPU:         float64(r.Used.CPU) / float64(n),
		Allocs:      float64(r.Mallocs) / float64(n),
		PerSecond:   float64(n) / r.Took.Seconds(),
		Throughput:  bodies / 1e6 / r.Took.Seconds(),
		CPUPerGB:    cpu.Seconds() / (bodies / 1e9),
		ClientShare: cpu.Seconds() / r.Took.Seconds(),
		ServerShare: server.Seconds() / r.Took.Seconds(),
		PerRead:     lab.Per(n, r.Used.Reads),
		PerWrite:    lab.Per(n, r.Used.Writes),
	}
}

// profileAll runs each client once more in each scenario, for a profile.
func profileAll(ctx context.Context, c config, st *site) error {
	if err := os.MkdirAll(c.profiles, 0o755); err != nil {
		return err
	}
	for _, s := range c.scenarios {
		for _, name := range lab.Sides {
			file := filepath.Join(c.profiles, s.Name+"-"+strings.ReplaceAll(name, "/", "-")+".pprof")
			if _, err := measure(ctx, c, st, name, s, file); err != nil {
				return fmt.Errorf("%s %s with a profile: %w", name, s.Name, err)
			}
			fmt.Fprintln(c.progress, "wrote", file)
		}
	}
	return nil
}
