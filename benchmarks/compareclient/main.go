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

	"github.com/sluice-go/sluice/benchmarks/internal/lab"
)

// config is what the flags say.
type config struct {
	rounds    int
	requests  int   // of a round with many requests in flight
	alone     int   // of a round with one request in flight
	download  int64 // octets
	clientCPU int   // -1: not pinned
	serverCPU int   // -1: not pinned
	nghttpd   string
	jsonFile  string
	profiles  string // directory
	check     bool
	scenarios []scenario
	out       io.Writer // the report
	progress  io.Writer
}

func main() {
	if name := os.Getenv(clientEnv); name != "" {
		if err := requestAs(name, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "compareclient, as the client:", err)
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
		fmt.Fprintln(os.Stderr, "compareclient:", err)
		os.Exit(1)
	}
}

func parseFlags(args []string) (config, error) {
	c := config{out: os.Stdout, progress: os.Stderr, scenarios: scenarios}
	c.clientCPU, c.serverCPU = lab.TwoCPUs()
	f := flag.NewFlagSet("compareclient", flag.ContinueOnError)
	f.IntVar(&c.rounds, "rounds", 5, "rounds of each scenario and client")
	f.IntVar(&c.requests, "n", 200_000, "requests of a round with a hundred in flight")
	f.IntVar(&c.alone, "n1", 50_000, "requests of a round with one in flight")
	f.Int64Var(&c.download, "size", 1<<30, "octets of a download")
	f.IntVar(&c.clientCPU, "client-cpu", c.clientCPU, "CPU of the client; -1 leaves it to the system")
	f.IntVar(&c.serverCPU, "server-cpu", c.serverCPU, "CPU of nghttpd; -1 leaves it to the system")
	f.StringVar(&c.jsonFile, "json", "", "also write every round to this file")
	f.StringVar(&c.profiles, "profile", "", "also write CPU profiles to this directory, from a round of their own")
	f.BoolVar(&c.check, "check", false, "fail when a ratio is on the wrong side of the project's bar for it")
	only := f.String("only", "", `run only this scenario, such as "c100"`)
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if c.rounds < 1 || c.requests < 1000 || c.alone < 100 || c.download < 1<<20 {
		return c, errors.New("at least 1 round, 1000 requests, 100 with one in flight, and 1 MiB (-rounds, -n, -n1, -size)")
	}
	if *only != "" {
		c.scenarios = slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return s.Name != *only })
		if len(c.scenarios) == 0 {
			return c, fmt.Errorf("there is no scenario %q", *only)
		}
	}
	return c, nil
}

// findNghttpd looks where Debian puts it, too, which is not on every PATH.
func findNghttpd() (string, error) {
	for _, name := range []string{"nghttpd", "/usr/sbin/nghttpd"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("nghttpd is not installed (Debian: apt-get install nghttp2-server)")
}

// run measures everything and writes the report.
func run(ctx context.Context, c config) (err error) {
	if c.nghttpd, err = findNghttpd(); err != nil {
		return err
	}
	st, err := startSite(ctx, c)
	if err != nil {
		return err
	}
	defer st.stop()
	rep := report{Environment: environment(c), Scenarios: c.scenarios}
	for round := range c.rounds {
		for _, s := range c.scenarios {
			for _, name := range lab.Sides {
				m, err := measure(ctx, c, st, name, s, "")
				if err != nil {
					return fmt.Errorf("%s %s: %w", name, s.Name, err)
				}
				m.Round = round
				rep.Rounds = append(rep.Rounds, m)
				fmt.Fprintf(c.progress, "round %d/%d  %-12s %-9s %8.3f %s %8.1f allocations\n",
					round+1, c.rounds, s.Name, name, s.cost(m), s.unit(), m.Allocs)
			}
		}
	}
	if err := rep.markdown(c.out); err != nil {
		return err
	}
	if c.profiles != "" {
		if err := profileAll(ctx, c, st); err != nil {
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
