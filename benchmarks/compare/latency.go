package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-go/sluice/benchmarks/internal/site"
)

// latency is how long requests take, one by one, as h2load logs it.
type latency struct {
	load
	// Half makes half as many requests for each second as net/http can answer, instead of as many
	// as there are answers for.
	Half bool
}

// Of the requests for load.Path: those beside them do not count.
var (
	p50 = figure{"p50_us", "µs p50", 0}
	p90 = figure{"p90_us", "µs p90", 0}
	p99 = figure{"p99_us", "µs p99", 0}
)

// measure runs one round; the CPU time in it is that at this load.
func (lt latency) measure(ctx context.Context, l *runner, p peer) (figures, error) {
	var more []string
	var n int
	if lt.Half {
		rate, err := l.halfRate(ctx, lt.load)
		if err != nil {
			return nil, err
		}
		each := max(1, math.Round(rate/float64(lt.Clients)))
		n = max(1, int(each*l.seconds)) * lt.Clients
		more = []string{"--rps=" + strconv.FormatFloat(each, 'f', 0, 64)}
	}
	file := filepath.Join(l.dir, "latency")
	if err := os.RemoveAll(file); err != nil { // h2load adds to a file
		return nil, err
	}
	m, err := lt.round(ctx, l, p, n, append(more, "--log-file="+file)...)
	if err != nil {
		return nil, err
	}
	took, err := readLatencies(file)
	if err != nil {
		return nil, err
	}
	took = took[:len(took)-lt.slow(len(took))]
	m.set(p50, percentile(took, 50))
	m.set(p90, percentile(took, 90))
	m.set(p99, percentile(took, 99))
	return m, nil
}

// slow is how many of n requests were not for Path. They are those that took longest.
func (lt latency) slow(n int) int {
	switch lt.Beside {
	case site.Sleep:
		return (n + oneInSleeps - 1) / oneInSleeps
	case site.Events:
		return 1
	}
	return 0
}

// halfRate is half of what net/http can do of ld, in requests each second. It
// is measured once, so that all peers are asked for the same.
func (l *runner) halfRate(ctx context.Context, ld load) (float64, error) {
	if l.half == 0 {
		i := slices.IndexFunc(peers, func(p peer) bool { return p.Name == netHTTP })
		m, err := ld.measure(ctx, l, peers[i])
		if err != nil {
			return 0, fmt.Errorf("how much net/http can answer: %w", err)
		}
		l.half = m[perSecond.Key] / 2
	}
	return l.half, nil
}

// readLatencies reads h2load's log: for each request when it began, the status
// and how many microseconds it took.
func readLatencies(file string) ([]int, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var took []int
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		columns := strings.Fields(lines.Text())
		if len(columns) < 3 {
			return nil, fmt.Errorf("h2load's log has a line %q", lines.Text())
		}
		n, err := strconv.Atoi(columns[2])
		if err != nil {
			return nil, fmt.Errorf("h2load's log has a line %q", lines.Text())
		}
		took = append(took, n)
	}
	if len(took) == 0 {
		return nil, fmt.Errorf("h2load's log is empty")
	}
	slices.Sort(took)
	return took, nil
}

// percentile is the least that p percent do not exceed.
func percentile(sorted []int, p int) float64 {
	return float64(sorted[(len(sorted)*p+99)/100-1])
}
