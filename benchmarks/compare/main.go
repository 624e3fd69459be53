package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/sluice-go/sluice/benchmarks/internal/bench"
	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
)

// config holds the values of the flags.
type config struct {
	scenarios []scenario
	peers     []string // nil: the peers of each scenario
	rounds    int
	seconds   float64 // length of each round
	conns     int     // bound of the connections in the scenarios of idle ones
	serverCPU int     // -1: not pinned
	loadCPU   int     // -1: not pinned
	jsonFile  string
	profiles  string  // directory for profiles
	profiled  float64 // length of each profile in seconds
	strace    bool
	check     bool
	list      bool
	out       io.Writer // the report
	progress  io.Writer
}

func main() {
	if peerserver.Main(servers) || clientMain() || relayMain() || holdMain() {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c, err := parseFlags(os.Args[1:])
	if err == nil {
		err = c.run(ctx)
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
	c := config{out: os.Stdout, progress: os.Stderr}
	c.serverCPU, c.loadCPU = bench.TwoCPUs()
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	scenarios := f.String("scenarios", "*", `scenarios, separated by commas; "tls-*" is all whose names begin so`)
	names := f.String("peers", "", "peers, separated by commas, as above (default: those of each scenario)")
	f.IntVar(&c.rounds, "rounds", 5, "rounds of each scenario and peer")
	f.Float64Var(&c.seconds, "seconds", 0.5, "how long a round is to last")
	f.IntVar(&c.conns, "conns", 10_000, "at most so many idle connections")
	f.IntVar(&c.serverCPU, "server-cpu", c.serverCPU, "CPU of the peer that is measured; -1 leaves it to the system")
	f.IntVar(&c.loadCPU, "load-cpu", c.loadCPU, "CPU of the process that makes the load; -1 leaves it to the system")
	f.StringVar(&c.jsonFile, "json", "", "also write every round to this file")
	f.StringVar(
		&c.profiles,
		"profile",
		"",
		"also write CPU profiles of the peers in Go to this directory, from a round of their own",
	)
	f.Float64Var(
		&c.profiled,
		"profile-seconds",
		5,
		"how long these rounds are to last: there are a hundred samples in a second",
	)
	f.BoolVar(&c.strace, "strace", false, "also count system calls with strace, in a round of its own")
	f.BoolVar(&c.check, "check", false, "fail when a target is missed")
	f.BoolVar(&c.list, "list", false, "list scenarios and peers, and measure nothing")
	err := f.Parse(args)
	if err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, fmt.Errorf("%q is not a flag", f.Arg(0))
	}
	if c.rounds < 1 || c.seconds < 0.01 || c.seconds > 60 {
		return c, errors.New("at least 1 round, of 0.01 to 60 seconds (-rounds, -seconds)")
	}
	if c.conns < 1 {
		return c, errors.New("at least 1 connection (-conns)")
	}
	if c.scenarios, err = choose(*scenarios); err != nil {
		return c, err
	}
	if *names != "" {
		c.peers, err = choosePeers(*names)
	}
	return c, err
}

// run measures everything and writes the report.
func (c config) run(ctx context.Context) error {
	l, err := newRunner(c)
	if err != nil {
		return err
	}
	defer l.close()
	if c.list {
		return l.listAll()
	}
	if err := bench.RaiseFiles(); err != nil {
		return err
	}
	l.prepare(ctx)
	rep := report{runner: l}
	for round := range c.rounds {
		for _, s := range c.scenarios {
			if s.Rounds > 0 && round >= s.Rounds {
				continue
			}
			if err := rep.round(ctx, round, s); err != nil {
				return err
			}
		}
	}
	if err := rep.markdown(c.out); err != nil {
		return err
	}
	if err := l.extra(ctx); err != nil {
		return err
	}
	if c.jsonFile != "" {
		if err := bench.WriteJSON(c.jsonFile, rep.json()); err != nil {
			return err
		}
	}
	if c.check {
		return rep.check()
	}
	return nil
}

// round measures each peer once in a scenario. Every other round has them in reverse order, so that
// no peer always comes behind the same one.
func (r *report) round(ctx context.Context, round int, s scenario) error {
	of := r.peersOf(s)
	for i := range of {
		p := of[i]
		if round%2 == 1 {
			p = of[len(of)-1-i]
		}
		m, err := s.do.measure(ctx, r.runner, p)
		if err != nil && (p.ours || ctx.Err() != nil) {
			return fmt.Errorf("%s, %s: %w", s.Name, p.Name, err)
		}
		if err != nil { // the other peers can still be compared
			why, _, _ := strings.Cut(err.Error(), "\n")
			r.failed[s.Name+", "+p.Name] = why
			fmt.Fprintf(r.progress, "round %d/%d  %-14s %-14s failed: %s\n", round+1, r.rounds, s.Name, p.Name, why)
			continue
		}
		r.Rounds = append(r.Rounds, measurement{Scenario: s.Name, Peer: p.Name, Round: round, Figures: m})
		fmt.Fprintf(r.progress, "round %d/%d  %-14s %-14s %9s %s\n", round+1, r.rounds, s.Name, p.Name,
			s.Shown[0].show(m[s.Shown[0].Key]), s.Shown[0].Unit)
	}
	return nil
}
