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

	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
)

// latency measures how long each request takes, as h2load logs it.
type latency struct {
	load
	// Half makes half as many requests for each second as net/http can answer, instead of as many
	// as there are answers for.
	Half bool
}

// These are of the requests for load.Path: requests beside them do not count.
var (
	p50 = figure{"p50_us", "µs p50", 0}
	p90 = figure{"p90_us", "µs p90", 0}
	p99 = figure{"p99_us", "µs p99", 0}
)

// measure runs one round.
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

// slow returns how many of n requests were not for Path. They are those that took longest.
func (lt latency) slow(n int) int {
	switch lt.Beside {
	case peerserver.Sleep:
		return (n + oneInSleeps - 1) / oneInSleeps
	case peerserver.Events:
		return 1
	}
	return 0
}

// halfRate returns half of the rate that net/http reaches with ld, in requests each second. It is
// measured once, so that all peers have the same load.
func (l *runner) halfRate(ctx context.Context, ld load) (float64, error) {
	if l.knownHalfRate == 0 {
		i := slices.IndexFunc(peers, func(p peer) bool { return p.Name == netHTTP })
		m, err := ld.measure(ctx, l, peers[i])
		if err != nil {
			return 0, fmt.Errorf("how much net/http can answer: %w", err)
		}
		l.knownHalfRate = m[perSecond.Key] / 2
	}
	return l.knownHalfRate, nil
}

// readLatencies reads h2load's log: for each request its start, its status and its duration in
// microseconds, which it returns.
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

// percentile returns the least value that p percent of the values do not exceed.
func percentile(sorted []int, p int) float64 {
	return float64(sorted[(len(sorted)*p+99)/100-1])
}
