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
// up, and then all of them between two snapshots.
func measure(ctx context.Context, c config, name string, s scenario) (m measurement, err error) {
	n := c.requestsOf(s)
	srv, err := startChild(ctx, name, c.serverCPU)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	if _, err := h2load(ctx, c.loadCPU, s, max(n/10, s.Clients), srv.addr); err != nil {
		return m, err
	}
	before, err := srv.snapshot()
	if err != nil {
		return m, err
	}
	ld, err := h2load(ctx, c.loadCPU, s, n, srv.addr)
	if err != nil {
		return m, err
	}
	after, err := srv.snapshot()
	if err != nil {
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
		PerRead:     per(n, after.Reads-before.Reads),
		PerWrite:    per(n, after.Writes-before.Writes),
	}, nil
}

// per is n divided by calls, or 0 when calls were not counted.
func per(n int, calls int64) float64 {
	if calls <= 0 {
		return 0
	}
	return float64(n) / float64(calls)
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
		for _, name := range servers {
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
	srv, err := startChild(ctx, name, c.serverCPU, "strace", "-c", "-f", "-o", file)
	if err != nil {
		return nil, err
	}
	_, err = h2load(ctx, c.loadCPU, s, n, srv.addr)
	if err = errors.Join(err, srv.stop()); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}
