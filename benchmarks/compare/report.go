package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-go/sluice/benchmarks/internal/bench"
)

// A measurement is one round of one peer in one scenario.
type measurement struct {
	Scenario string  `json:"scenario"`
	Peer     string  `json:"peer"`
	Round    int     `json:"round"`
	Figures  figures `json:"figures"`
}

// A report is everything that was measured.
type report struct {
	*runner
	Rounds []measurement
}

// of returns a figure of every round of a peer in a scenario, in order of the
// rounds.
func (r *report) of(scenario, peer string, f figure) (v []float64) {
	for _, m := range r.Rounds {
		if m.Scenario == scenario && m.Peer == peer {
			if one, ok := m.Figures[f.Key]; ok {
				v = append(v, one)
			}
		}
	}
	return v
}

func (r *report) median(scenario, peer string, f figure) float64 {
	return bench.Median(r.of(scenario, peer, f))
}

// A verdict is a target beside what was measured.
type verdict struct {
	Scenario string
	target
	Value    float64   // the figure, relative to what the target is relative to
	each     []float64 // Value of each round
	baseline *float64  // what Value would be of the baseline, where that is measured
}

// belowBaseline reports whether the target is missed, and below what the system calls alone take.
func (v verdict) belowBaseline() bool {
	return !v.met(v.Value) && v.baseline != nil && !v.met(*v.baseline)
}

// verdicts returns a verdict for each target for which everything was measured.
func (r *report) verdicts() (all []verdict) {
	for _, s := range r.scenarios {
		for _, b := range s.Targets {
			if b.Of == "" {
				b.Of = sluice
			}
			v, against := r.compared(s.Name, b)
			if len(v) == 0 || len(against) == 0 {
				continue
			}
			found := verdict{
				Scenario: s.Name, target: b, Value: bench.Median(v) / bench.Median(against), each: bench.Ratios(v, against),
			}
			b.Of = baselinePeer
			if v, against := r.compared(s.Name, b); len(v) > 0 && len(against) > 0 {
				least := bench.Median(v) / bench.Median(against)
				found.baseline = &least
			}
			all = append(all, found)
		}
	}
	return all
}

// compared returns the figures of a target, and those that it is relative to.
func (r *report) compared(scenario string, b target) (v, against []float64) {
	v = r.of(scenario, b.Of, b.Figure)
	switch {
	case b.Scenario != "":
		against = r.of(b.Scenario, b.Of, b.Figure)
	case b.Peer != "":
		against = r.of(scenario, b.Peer, b.Figure)
	default:
		against = slices.Repeat([]float64{1}, len(v))
	}
	return v, against
}

// check returns an error that names every target that is missed.
func (r *report) check() error {
	var missed []string
	for _, v := range r.verdicts() {
		if !v.met(v.Value) {
			m := fmt.Sprintf(
				"%s: %s of %s is %.3g, the target is %v (%s)",
				v.Scenario,
				v.Figure.Unit,
				v.Of,
				v.Value,
				v.target,
				v.against(),
			)
			if v.belowBaseline() {
				m += fmt.Sprintf(", the baseline is %.3g", *v.baseline)
			}
			missed = append(missed, m)
		}
	}
	if len(missed) > 0 {
		return errors.New(strings.Join(missed, "; "))
	}
	return nil
}

// json returns what is written to a file.
func (r *report) json() any {
	type scenarioJSON struct {
		Name string `json:"name"`
		What string `json:"what"`
	}
	type targetJSON struct {
		Scenario string   `json:"scenario"`
		Peer     string   `json:"peer"`
		Figure   string   `json:"figure"`
		Against  string   `json:"against"`
		Value    float64  `json:"value"`
		Baseline *float64 `json:"baseline,omitempty"` // the value of the baseline
		Target   string   `json:"target"`
		Met      bool     `json:"met"`
	}
	out := struct {
		Environment map[string]string `json:"environment"`
		Peers       map[string]string `json:"peers"`
		Missing     map[string]string `json:"missing,omitempty"`
		Failed      map[string]string `json:"failed,omitempty"`
		Scenarios   []scenarioJSON    `json:"scenarios"`
		Targets     []targetJSON      `json:"targets"`
		Rounds      []measurement     `json:"rounds"`
	}{r.environment(), r.what, r.missing, r.failed, nil, nil, r.Rounds}
	for _, s := range r.scenarios {
		out.Scenarios = append(out.Scenarios, scenarioJSON{s.Name, s.What})
	}
	for _, v := range r.verdicts() {
		out.Targets = append(
			out.Targets,
			targetJSON{v.Scenario, v.Of, v.Figure.Key, v.against(), v.Value, v.baseline, v.String(), v.met(v.Value)},
		)
	}
	return out
}

// markdown writes the tables.
func (r *report) markdown(w io.Writer) error {
	b := bufio.NewWriter(w)
	e := r.environment()
	fmt.Fprintf(
		b,
		"%s, %s, %s, %s; %s; medians of %d rounds.\n\n",
		e["cpu"],
		e["system"],
		e["go"],
		e["h2load"],
		e["pinned"],
		r.rounds,
	)
	for _, p := range peers {
		if what := r.what[p.Name]; what != "" {
			fmt.Fprintf(b, "- %s: %s\n", p.Name, what)
		} else if why := r.missing[p.Name]; why != "" {
			fmt.Fprintf(b, "- %s was not measured: %s\n", p.Name, why)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.failed)) {
		fmt.Fprintf(b, "- %s failed: %s\n", name, r.failed[name])
	}
	r.overviews(b)
	r.targets(b)
	r.details(b)
	r.limits(b)
	return b.Flush()
}

// overviews writes a table for each figure that counts in a scenario: peers
// below one another, scenarios side by side.
func (r *report) overviews(w io.Writer) {
	var done []string
	for _, first := range r.scenarios {
		f := first.Shown[0]
		if slices.Contains(done, f.Key) {
			continue
		}
		done = append(done, f.Key)
		columns := slices.DeleteFunc(slices.Clone(r.scenarios), func(s scenario) bool { return s.Shown[0].Key != f.Key })
		fmt.Fprintf(w, "\n| %s |", f.Unit)
		for _, s := range columns {
			fmt.Fprintf(w, " %s |", s.Name)
		}
		fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---:|", len(columns)))
		for _, p := range peers {
			r.overview(w, p.Name, f, columns)
		}
	}
}

// overview writes the row of a peer, if it was measured at all.
func (r *report) overview(w io.Writer, peer string, f figure, columns []scenario) {
	row, any := "| "+peer+" |", false
	for _, s := range columns {
		if v := r.of(s.Name, peer, f); len(v) > 0 {
			row, any = row+" "+f.show(bench.Median(v))+" |", true
		} else {
			row += " - |"
		}
	}
	if any {
		fmt.Fprintln(w, row)
	}
}

// targets writes the targets beside what was measured.
func (r *report) targets(w io.Writer) {
	all := r.verdicts()
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(w, "\n| scenario | figure | measured by | found | each round | target | |")
	fmt.Fprintln(w, "|---|---|---|---:|---:|---:|---|")
	for _, v := range all {
		word := "met"
		if !v.met(v.Value) {
			word = "**missed**"
		}
		if v.belowBaseline() {
			word += fmt.Sprintf("; the baseline is %.3g", *v.baseline)
		}
		fmt.Fprintf(w, "| %s | %s of %s | %s | **%.3g** | %.3g to %.3g | %v | %s |\n",
			v.Scenario, v.Figure.Unit, v.Of, v.against(), v.Value, slices.Min(v.each), slices.Max(v.each), v.target, word)
	}
}

// details writes a row for each scenario and peer.
func (r *report) details(w io.Writer) {
	fmt.Fprintln(
		w,
		"\n| scenario | peer | median (min to max) | sluice in parts of it | and | CPU "+
			"| load's CPU | requests/read | requests/write |",
	)
	fmt.Fprintln(w, "|---|---|---:|---:|---|---:|---:|---:|---:|")
	for _, s := range r.scenarios {
		for _, p := range peers {
			r.detail(w, s, p.Name)
		}
	}
}

func (r *report) detail(w io.Writer, s scenario, peer string) {
	f := s.Shown[0]
	v := r.of(s.Name, peer, f)
	if len(v) == 0 {
		return
	}
	part := "-"
	if own := r.of(s.Name, sluice, f); len(own) > 0 && peer != sluice {
		part = fmt.Sprintf("%.3f", bench.Median(own)/bench.Median(v))
	}
	var more []string
	for _, f := range s.Shown[1:] {
		more = append(more, f.show(r.median(s.Name, peer, f))+" "+f.Unit)
	}
	fmt.Fprintf(w, "| %s | %s | **%s** (%s to %s) %s | %s | %s |", s.Name, peer,
		f.show(bench.Median(v)), f.show(slices.Min(v)), f.show(slices.Max(v)), f.Unit, part, strings.Join(more, ", "))
	for _, f := range []figure{ownShare, loadShare, perRead, perWrite} {
		fmt.Fprintf(w, " %s |", f.orDash(r.median(s.Name, peer, f)))
	}
	fmt.Fprintln(w)
}

// limits writes the peers that were not busy because the load was the slower of the two. They find
// less in each read than they can, and their speed is not their own.
func (r *report) limits(w io.Writer) {
	head := "\nThe load was the limit for these peers, so their speed is not their own, " +
		"and they batched less than they can.\n\n" +
		"| scenario | peer | load's CPU | peer's CPU |\n|---|---|---:|---:|\n"
	for _, s := range r.scenarios {
		for _, p := range peers {
			ld, own := r.median(s.Name, p.Name, loadShare), r.median(s.Name, p.Name, ownShare)
			if ld > bench.Busy && own < bench.Busy {
				fmt.Fprintf(w, "%s| %s | %s | %.0f %% | %.0f %% |\n", head, s.Name, p.Name, 100*ld, 100*own)
				head = ""
			}
		}
	}
}
