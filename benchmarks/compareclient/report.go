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
		"go":       runtime.Version(),
		"system":   runtime.GOOS + "/" + runtime.GOARCH,
		"nghttpd":  "unknown",
		"cpu":      lab.CPUModel(),
		"pinned":   "no: client and server share all CPUs",
		"download": fmt.Sprintf("%d octets", c.download),
	}
	if out, err := exec.Command(c.nghttpd, "--version").Output(); err == nil {
		env["nghttpd"] = strings.TrimSpace(string(out))
	}
	if c.clientCPU >= 0 && c.serverCPU >= 0 {
		env["pinned"] = fmt.Sprintf("client on CPU %d, nghttpd on CPU %d", c.clientCPU, c.serverCPU)
	}
	return env
}

// unit is that of cost.
func (s scenario) unit() string {
	if s.Download {
		return "s CPU/GB"
	}
	return "µs CPU/request"
}

func (s scenario) speedUnit() string {
	if s.Download {
		return "MB/s"
	}
	return "requests/s"
}

// markdown writes the tables.
func (r *report) markdown(w io.Writer) error {
	b := bufio.NewWriter(w)
	e := r.Environment
	fmt.Fprintf(b, "%s, %s, %s, %s; %s.\n", e["cpu"], e["system"], e["go"], e["nghttpd"], e["pinned"])
	fmt.Fprintf(b, "CPU time is user and system of the client's process. c100 and c1: GET of %d bytes over h2c, 100 and 1 in flight on one connection; download: a body of %s.\n\n",
		len(hello), e["download"])
	fmt.Fprintln(b, "| scenario | client | CPU, median (min to max) | | speed, median (min to max) | | allocations/request | client's CPU | nghttpd's CPU | requests/read | requests/write |")
	fmt.Fprintln(b, "|---|---|---:|---|---:|---|---:|---:|---:|---:|---:|")
	for _, s := range r.Scenarios {
		for _, name := range lab.Sides {
			r.row(b, s, name)
		}
	}
	fmt.Fprintln(b, "\n| scenario | sluice / net/http | | each round | bar | |")
	fmt.Fprintln(b, "|---|---|---:|---:|---:|---|")
	for _, s := range r.Scenarios {
		for _, p := range s.promises() {
			each := lab.Ratios(r.of(s, lab.Sluice, p.figure), r.of(s, lab.NetHTTP, p.figure))
			verdict := "met"
			if !p.kept(r.ratio(s, p.figure)) {
				verdict = "**missed**"
			}
			fmt.Fprintf(b, "| %s | %s | **%.3f** | %.3f to %.3f | %v | %s |\n",
				s.Name, p.what, r.ratio(s, p.figure), slices.Min(each), slices.Max(each), p, verdict)
		}
	}
	r.notes(b)
	return b.Flush()
}

func (r *report) row(w io.Writer, s scenario, name string) {
	mid := func(f func(measurement) float64) float64 { return r.median(s, name, f) }
	cost, speed := r.of(s, name, s.cost), r.of(s, name, s.speed)
	calls := func(f func(measurement) float64) string {
		if n := mid(f); n > 0 && !s.Download {
			return fmt.Sprintf("%.2f", n)
		}
		return "-"
	}
	fmt.Fprintf(w, "| %s | %s | **%.3f** (%.3f to %.3f) | %s | %.0f (%.0f to %.0f) | %s | %.1f | %.0f %% | %.0f %% | %s | %s |\n",
		s.Name, name, lab.Median(cost), slices.Min(cost), slices.Max(cost), s.unit(),
		lab.Median(speed), slices.Min(speed), slices.Max(speed), s.speedUnit(), mid(allocs),
		100*mid(func(m measurement) float64 { return m.ClientShare }),
		100*mid(func(m measurement) float64 { return m.ServerShare }),
		calls(func(m measurement) float64 { return m.PerRead }),
		calls(func(m measurement) float64 { return m.PerWrite }))
}

// notes says where nghttpd was the slower of the two: the speed is then
// nghttpd's, and the client found less in each read than it could have.
func (r *report) notes(w io.Writer) {
	for _, s := range r.Scenarios {
		for _, name := range lab.Sides {
			srv := r.median(s, name, func(m measurement) float64 { return m.ServerShare })
			own := r.median(s, name, func(m measurement) float64 { return m.ClientShare })
			if srv > lab.Busy && own < lab.Busy {
				fmt.Fprintf(w, "\n%s, %s: nghttpd was the limit (%.0f %% of its CPU, the client %.0f %% of its own), so the speed is nghttpd's and the client batched less than it can.\n",
					s.Name, name, 100*srv, 100*own)
			}
		}
	}
}
