package main

import "fmt"

// A figure is one thing that is measured.
type figure struct {
	Key    string // in the JSON
	Unit   string
	digits int // digits behind the point
}

var (
	cpuPerRequest = figure{"cpu_us_per_request", "µs CPU/request", 2}
	cpuPerGB      = figure{"cpu_s_per_gigabyte", "s CPU/GB", 3} // GB is 10^9 octets of bodies
	perSecond     = figure{"requests_per_second", "requests/s", 0}
	throughput    = figure{"megabytes_per_second", "MB/s", 0}
	ownShare      = figure{"cpu_share", "CPU", 2}           // of one CPU, by the peer
	loadShare     = figure{"load_cpu_share", "load CPU", 2} // of the process that makes the load
	perRead       = figure{"requests_per_read", "requests/read", 2}
	perWrite      = figure{"requests_per_write", "requests/write", 2}
)

// show writes v as this figure is written.
func (f figure) show(v float64) string { return fmt.Sprintf("%.*f", f.digits, v) }

// orDash writes shares in percent, and a dash for what was not measured.
func (f figure) orDash(v float64) string {
	switch {
	case v == 0:
		return "-"
	case f == ownShare || f == loadShare:
		return fmt.Sprintf("%.0f %%", 100*v)
	}
	return f.show(v)
}

// figures are the figures of one round, by key.
type figures map[string]float64

func (m figures) set(f figure, v float64) { m[f.Key] = v }

// A target is what the project promises of one figure of a scenario.
type target struct {
	Figure   figure
	Of       string  // the peer that has the target; empty for sluice
	Peer     string  // the target is relative to this peer's figure; without Peer and Scenario it is absolute
	Scenario string  // the target is relative to the same peer's figure in this scenario
	Most     float64 // 0 if Least is the target
	Least    float64
}

// met reports whether v meets the target.
func (b target) met(v float64) bool {
	if b.Least > 0 {
		return v >= b.Least
	}
	return v <= b.Most
}

func (b target) String() string {
	if b.Least > 0 {
		return fmt.Sprintf("at least %.3g", b.Least)
	}
	return fmt.Sprintf("at most %.3g", b.Most)
}

// against says what the target is relative to.
func (b target) against() string {
	switch {
	case b.Scenario != "":
		return "that of " + b.Scenario
	case b.Peer != "":
		return "that of " + b.Peer
	}
	return b.Figure.Unit
}
