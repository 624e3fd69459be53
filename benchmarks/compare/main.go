package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"

	"github.com/sluice-go/sluice/benchmarks/internal/lab"
)

// A scenario is one way to load the server.
type scenario struct {
	Clients int `json:"clients"` // connections
	Streams int `json:"streams"` // concurrent requests of each
	// Bar is what the project promises: cost per request relative to net/http's.
	// 0 is no promise.
	Bar float64 `json:"bar,omitempty"`
}

func (s scenario) String() string { return fmt.Sprintf("-c%d -m%d", s.Clients, s.Streams) }

// alone reports whether one request is in flight at a time.
func (s scenario) alone() bool { return s.Clients == 1 && s.Streams == 1 }

var scenarios = []scenario{
	{Clients: 10, Streams: 100, Bar: 1.0 / 8},
	{Clients: 1, Streams: 1, Bar: 0.55},
	{Clients: 100, Streams: 10},
}

// config is what the flags say.
type config struct {
	rounds    int
	requests  int // of a round with many requests in flight
	alone     int // of a round with one request in flight
	serverCPU int // -1: not pinned
	loadCPU   int // -1: not pinned
	jsonFile  string
	strace    bool
	check     bool
	scenarios []scenario
	out       io.Writer // the report
	progress  io.Writer
}

func main() {
	if name := os.Getenv(serveEnv); name != "" {
		if err := serveAs(name, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "compare, as the server:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c, err := parseFlags(os.Args[1:])
	if err == nil {
		err = run(ctx, c)
	}
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func parseFlags(args []string) (config, error) {
	c := config{out: os.Stdout, progress: os.Stderr, scenarios: scenarios}
	c.serverCPU, c.loadCPU = lab.TwoCPUs()
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.IntVar(&c.rounds, "rounds", 5, "rounds of each scenario and server")
	f.IntVar(&c.requests, "n", 300_000, "requests of a round")
	f.IntVar(&c.alone, "n1", 50_000, "requests of a round with one request in flight")
	f.IntVar(&c.serverCPU, "server-cpu", c.serverCPU, "CPU of the server; -1 leaves it to the system")
	f.IntVar(&c.loadCPU, "load-cpu", c.loadCPU, "CPU of h2load; -1 leaves it to the system")
	f.StringVar(&c.jsonFile, "json", "", "also write every round to this file")
	f.BoolVar(&c.strace, "strace", false, "also count system calls with strace, in a round of its own")
	f.BoolVar(&c.check, "check", false, "fail when a ratio is above the project's bar for its scenario")
	only := f.String("only", "", `run only this scenario, such as "-c1 -m1"`)
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if c.rounds < 1 || c.requests < 1000 || c.alone < 100 {
		return c, errors.New("at least 1 round, 1000 requests, and 100 with one in flight (-rounds, -n, -n1)")
	}
	if *only != "" {
		c.scenarios = slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return s.String() != *only })
		if len(c.scenarios) == 0 {
			return c, fmt.Errorf("-only %q: the scenarios are %v", *only, scenarios)
		}
	}
	return c, nil
}

// run measures everything and writes the report.
func run(ctx context.Context, c config) error {
	if _, err := exec.LookPath("h2load"); err != nil {
		return errors.New("h2load is not installed (Debian: apt-get install nghttp2-client)")
	}
	rep := report{Environment: environment(c), Scenarios: c.scenarios}
	for round := range c.rounds {
		for _, s := range c.scenarios {
			for _, name := range lab.Sides {
				m, err := measure(ctx, c, name, s)
				if err != nil {
					return fmt.Errorf("%s %v: %w", name, s, err)
				}
				m.Round = round
				rep.Rounds = append(rep.Rounds, m)
				fmt.Fprintf(c.progress, "round %d/%d  %-11v %-9s %6.2f µs/request\n", round+1, c.rounds, s, name, m.CPU)
			}
		}
	}
	if err := rep.markdown(c.out); err != nil {
		return err
	}
	if c.strace {
		if err := straceAll(ctx, c); err != nil {
			return err
		}
	}
	if c.jsonFile != "" {
		if err := lab.WriteJSON(c.jsonFile, rep); err != nil {
			return err
		}
	}
	if c.check {
		return rep.check()
	}
	return nil
}

// check returns an error that names every scenario above its bar.
func (r *report) check() error {
	var over []string
	for _, s := range r.Scenarios {
		if ratio := r.ratio(s); s.Bar > 0 && ratio > s.Bar {
			over = append(over, fmt.Sprintf("%v: %.3f of net/http's cost, the bar is %.3f", s, ratio, s.Bar))
		}
	}
	if len(over) > 0 {
		return errors.New(strings.Join(over, "; "))
	}
	return nil
}
