package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/lab"
)

// A measurement is one round of one server in one scenario.
type measurement struct {
	Scenario scenario `json:"scenario"`
	Server   string   `json:"server"`
	Round    int      `json:"round"`
	Requests int      `json:"requests"`

	CPU         float64 `json:"cpu_us_per_request"`
	PerSecond   float64 `json:"requests_per_second"`
	ServerShare float64 `json:"server_cpu_share"` // of one CPU, while the load ran
	LoadShare   float64 `json:"h2load_cpu_share"`
	PerRead     float64 `json:"requests_per_read,omitempty"`
	PerWrite    float64 `json:"requests_per_write,omitempty"`
}

func (c config) requestsOf(s scenario) int {
	if s.alone() {
		return c.alone
	}
	return c.requests
}

// measure runs one round: a fresh process, a tenth of the requests to warm it
// up, and then all of them between two looks at what it has used.
func measure(ctx context.Context, c config, name string, s scenario) (m measurement, err error) {
	n := c.requestsOf(s)
	srv, err := lab.Start(ctx, serveEnv+"="+name, c.serverCPU)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, srv.Stop()) }()
	if _, err := h2load(ctx, c.loadCPU, s, max(n/10, s.Clients), srv.Greeting); err != nil {
		return m, err
	}
	var before, after lab.Usage
	if err := srv.Ask("usage", &before); err != nil {
		return m, err
	}
	ld, err := h2load(ctx, c.loadCPU, s, n, srv.Greeting)
	if err != nil {
		return m, err
	}
	if err := srv.Ask("usage", &after); err != nil {
		return m, err
	}
	cpu := time.Duration(after.CPU-before.CPU) * time.Microsecond
	return measurement{
		Scenario:    s,
		Server:      name,
		Requests:    n,
		CPU:         float64(cpu.Nanoseconds()) / 1000 / float64(n),
		PerSecond:   float64(n) / ld.took.Seconds(),
		ServerShare: cpu.Seconds() / ld.took.Seconds(),
		LoadShare:   ld.cpu.Seconds() / ld.took.Seconds(),
		PerRead:     lab.Per(n, after.Reads-before.Reads),
		PerWrite:    lab.Per(n, after.Writes-before.Writes),
	}, nil
}

// straceAll runs each server once more under strace, which slows it down and
// so is not part of any other figure, and prints strace's own tables.
func straceAll(ctx context.Context, c config) error {
	if _, err := exec.LookPath("strace"); err != nil {
		return errors.New("strace is not installed (Debian: apt-get install strace)")
	}
	dir, err := os.MkdirTemp("", "compare")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, s := range c.scenarios {
		for _, name := range lab.Sides {
			n := max(c.requestsOf(s)/10, 1000)
			table, err := straceOne(ctx, c, name, s, n, filepath.Join(dir, "table"))
			if err != nil {
				return fmt.Errorf("%s %v under strace: %w", name, s, err)
			}
			fmt.Fprintf(c.out, "\nSystem calls of %s, %v, %s requests (strace -c -f):\n\n```\n%s```\n", name, s, strconv.Itoa(n), table)
		}
	}
	return nil
}

func straceOne(ctx context.Context, c config, name string, s scenario, n int, file string) ([]byte, error) {
	srv, err := lab.Start(ctx, serveEnv+"="+name, c.serverCPU, "strace", "-c", "-f", "-o", file)
	if err != nil {
		return nil, err
	}
	_, err = h2load(ctx, c.loadCPU, s, n, srv.Greeting)
	if err = errors.Join(err, srv.Stop()); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}
