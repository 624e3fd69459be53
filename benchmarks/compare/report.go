package main

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/sluice-go/sluice/benchmarks/internal/lab"
)

// A report is everything that was measured.
type report struct {
	Environment map[string]string `json:"environment"`
	Scenarios   []scenario        `json:"scenarios"`
	Rounds      []measurement     `json:"rounds"`
}

// environment says where the figures come from.
func environment(c config) map[string]string {
	env := map[string]string{
		"go":     runtime.Version(),
		"system": runtime.GOOS + "/" + runtime.GOARCH,
		"h2load": "unknown",
		"cpu":    lab.CPUModel(),
		"pinned": "no: server and load share all CPUs",
	}
	if out, err := exec.Command("h2load", "--version").Output(); err == nil {
		env["h2load"] = strings.TrimSpace(string(out))
	}
	if c.serverCPU >= 0 && c.loadCPU >= 0 {
		env["pinned"] = fmt.Sprintf("server on CPU %d, h2load on CPU %d", c.serverCPU, c.loadCPU)
	}
	return env
}

// of returns one figure of every round of a server in a scenario, in order of
// the rounds.
func (r *report) of(s scenario, server string, figure func(measurement) float64) (v []float64) {
	for _, m := range r.Rounds {
		if m.Scenario == s && m.Server == server {
			v = append(v, figure(m))
		}
	}
	return v
}

func cpu(m measurement) float64 { return m.CPU }

// ratio is sluice's cost in parts of net/http's, medians of both.
func (r *report) ratio(s scenario) float64 {
	return lab.Median(r.of(s, lab.Sluice, cpu)) / lab.Median(r.of(s, lab.NetHTTP, cpu))
}

// ratios returns the ratio of each round.
func (r *report) ratios(s scenario) []float64 {
	return lab.Ratios(r.of(s, lab.Sluice, cpu), r.of(s, lab.NetHTTP, cpu))
}

// markdown writes the tables.
func (r *report) markdown(w io.Writer) error {
	b := bufio.NewWriter(w)
	e := r.Environment
	fmt.Fprintf(b, "%s, %s, %s, %s; %s.\n", e["cpu"], e["system"], e["go"], e["h2load"], e["pinned"])
	fmt.Fprintf(b, "GET of %d bytes over h2c; CPU time is user and system of the server's process.\n\n", len(answer))
	fmt.Fprintln(b, "| h2load | server | µs CPU/request, median (min to max) | requests/s | server's CPU | h2load's CPU | requests/read | requests/write |")
	fmt.Fprintln(b, "|---|---|---:|---:|---:|---:|---:|---:|")
	for _, s := range r.Scenarios {
		for _, name := range lab.Sides {
			r.row(b, s, name)
		}
	}
	fmt.Fprintln(b, "\n| h2load | sluice / net/http | each round | bar |")
	fmt.Fprintln(b, "|---|---:|---:|---:|")
	for _, s := range r.Scenarios {
		each, bar := r.ratios(s), "-"
		if s.Bar > 0 {
			bar = fmt.Sprintf("%.3f", s.Bar)
		}
		fmt.Fprintf(b, "| `%v` | **%.3f** (1/%.1f) | %.3f to %.3f | %s |\n",
			s, r.ratio(s), 1/r.ratio(s), slices.Min(each), slices.Max(each), bar)
	}
	r.notes(b)
	return b.Flush()
}

func (r *report) row(w io.Writer, s scenario, name string) {
	mid := func(f func(measurement) float64) float64 { return lab.Median(r.of(s, name, f)) }
	v := r.of(s, name, cpu)
	calls := func(f func(measurement) float64) string {
		if n := mid(f); n > 0 {
			return fmt.Sprintf("%.2f", n)
		}
		return "?"
	}
	fmt.Fprintf(w, "| `%v` | %s | **%.2f** (%.2f to %.2f) | %.0f | %.0f %% | %.0f %% | %s | %s |\n",
		s, name, lab.Median(v), slices.Min(v), slices.Max(v),
		mid(func(m measurement) float64 { return m.PerSecond }),
		100*mid(func(m measurement) float64 { return m.ServerShare }),
		100*mid(func(m measurement) float64 { return m.LoadShare }),
		calls(func(m measurement) float64 { return m.PerRead }),
		calls(func(m measurement) float64 { return m.PerWrite }))
}

// notes says where h2load was the slower of the two: the server was then not
// saturated, found fewer requests in each read than it could have, and
// requests/s says nothing about it.
func (r *report) notes(w io.Writer) {
	for _, s := range r.Scenarios {
		for _, name := range lab.Sides {
			ld := lab.Median(r.of(s, name, func(m measurement) float64 { return m.LoadShare }))
			srv := lab.Median(r.of(s, name, func(m measurement) float64 { return m.ServerShare }))
			if ld > lab.Busy && srv < lab.Busy {
				fmt.Fprintf(w, "\n`%v`, %s: h2load was the limit (%.0f %% of its CPU, the server %.0f %% of its own), so requests/s is h2load's figure and the server batched less than it can.\n",
					s, name, 100*ld, 100*srv)
			}
		}
	}
}
