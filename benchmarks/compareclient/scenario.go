package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-go/sluice/benchmarks/internal/lab"
)

// A scenario is one thing that a client is to do.
type scenario struct {
	Name        string `json:"name"`
	Concurrency int    `json:"concurrency"` // goroutines, over one connection
	Download    bool   `json:"download,omitempty"`
	TLS         bool   `json:"tls,omitempty"`

	// What the project promises, relative to net/http. 0 is no promise.
	CPUBar        float64 `json:"cpu_bar,omitempty"`         // at most
	AllocBar      float64 `json:"allocations_bar,omitempty"` // at most
	ThroughputBar float64 `json:"throughput_bar,omitempty"`  // at least
}

var scenarios = []scenario{
	{Name: "c100", Concurrency: 100, CPUBar: 1.0 / 3, AllocBar: 0.5},
	{Name: "c1", Concurrency: 1, CPUBar: 2.0 / 3, AllocBar: 0.5},
	{Name: "download-h2c", Concurrency: 1, Download: true, CPUBar: 0.7, ThroughputBar: 1},
	{Name: "download-tls", Concurrency: 1, Download: true, TLS: true, CPUBar: 0.7, ThroughputBar: 1},
}

// requests returns how many requests a round has.
func (s scenario) requests(c config) int {
	switch {
	case s.Download:
		return 1
	case s.Concurrency == 1:
		return c.alone
	}
	return c.requests
}

// size returns how many octets each response has.
func (s scenario) size(c config) int64 {
	if s.Download {
		return c.download
	}
	return int64(len(hello))
}

// A measurement is one round of one client in one scenario.
type measurement struct {
	Scenario string `json:"scenario"`
	Client   string `json:"client"`
	Round    int    `json:"round"`
	Requests int    `json:"requests"`

	CPU         float64 `json:"cpu_us_per_request"`
	Allocs      float64 `json:"allocations_per_request"`
	PerSecond   float64 `json:"requests_per_second"`
	Throughput  float64 `json:"megabytes_per_second"` // MB is 10^6 octets of bodies
	CPUPerGB    float64 `json:"cpu_s_per_gigabyte"`   // GB is 10^9 octets of bodies
	ClientShare float64 `json:"client_cpu_share"`     // of one CPU
	ServerShare float64 `json:"nghttpd_cpu_share"`
	PerRead     float64 `json:"requests_per_read,omitempty"`
	PerWrite    float64 `json:"requests_per_write,omitempty"`
}

// cost is the CPU time for what the scenario is about.
func (s scenario) cost(m measurement) float64 {
	if s.Download {
		return m.CPUPerGB
	}
	return m.CPU
}

// speed is what was done in a second.
func (s scenario) speed(m measurement) float64 {
	if s.Download {
		return m.Throughput
	}
	return m.PerSecond
}

func allocs(m measurement) float64 { return m.Allocs }

// of returns one figure of every round of a client in a scenario, in order of
// the rounds.
func (r *report) of(s scenario, client string, figure func(measurement) float64) (v []float64) {
	for _, m := range r.Rounds {
		if m.Scenario == s.Name && m.Client == client {
			v = append(v, figure(m))
		}
	}
	return v
}

func (r *report) median(s scenario, client string, figure func(measurement) float64) float64 {
	return lab.Median(r.of(s, client, figure))
}

// ratio is sluice's figure in parts of net/http's, medians of both.
func (r *report) ratio(s scenario, figure func(measurement) float64) float64 {
	return r.median(s, lab.Sluice, figure) / r.median(s, lab.NetHTTP, figure)
}

// A promise is one figure of a scenario with the bar for it.
type promise struct {
	what   string
	figure func(measurement) float64
	bar    float64
	least  bool // the bar is the least that the ratio may be, not the most
}

func (s scenario) promises() (p []promise) {
	for _, one := range []promise{
		{"CPU", s.cost, s.CPUBar, false},
		{"allocations", allocs, s.AllocBar, false},
		{"throughput", s.speed, s.ThroughputBar, true},
	} {
		if one.bar > 0 {
			p = append(p, one)
		}
	}
	return p
}

// kept tells whether ratio is on the right side of the bar.
func (p promise) kept(ratio float64) bool {
	if p.least {
		return ratio >= p.bar
	}
	return ratio <= p.bar
}

func (p promise) String() string {
	if p.least {
		return fmt.Sprintf("at least %.3f", p.bar)
	}
	return fmt.Sprintf("at most %.3f", p.bar)
}

// check returns an error that names every promise that is not kept.
func (r *report) check() error {
	var broken []string
	for _, s := range r.Scenarios {
		for _, p := range s.promises() {
			if ratio := r.ratio(s, p.figure); !p.kept(ratio) {
				broken = append(broken, fmt.Sprintf("%s: %s is %.3f of net/http's, the bar is %v", s.Name, p.what, ratio, p))
			}
		}
	}
	if len(broken) > 0 {
		return errors.New(strings.Join(broken, "; "))
	}
	return nil
}
