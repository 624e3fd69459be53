package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/lab"
)

// The program starts itself as the client: in a test, itself is the test.
func TestMain(m *testing.M) {
	if name := os.Getenv(clientEnv); name != "" {
		if err := requestAs(name, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// One round of everything, small enough for every test run: the figures mean
// nothing, but each part of the program has worked.
func TestOneSmallRound(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the CPU time of a process is read as Linux has it")
	}
	if _, err := findNghttpd(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("nghttpd must be there in CI:", err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "rounds.json")
	c, err := parseFlags([]string{"-rounds", "1", "-n", "1000", "-n1", "100", "-size", "1048577", "-json", file, "-profile", dir})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c.out, c.progress = &out, io.Discard
	if err := run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| c100 | sluice | **", "| c1 | net/http | **", "| download-h2c | sluice | **", "| download-tls | net/http | **",
		"| at most 0.333 |", "| at most 0.667 |", "| at most 0.500 |", "| at least 1.000 |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &out)
		}
	}
	if b, err := os.ReadFile(file); err != nil || !bytes.Contains(b, []byte(`"allocations_per_request"`)) {
		t.Errorf("the JSON file: %s, %v", b, err)
	}
	if profiles, err := filepath.Glob(filepath.Join(dir, "*.pprof")); err != nil || len(profiles) != 2*len(scenarios) {
		t.Errorf("profiles %v, %v", profiles, err)
	}
}

func TestParseFlags(t *testing.T) {
	c, err := parseFlags([]string{"-only", "c1"})
	if err != nil || len(c.scenarios) != 1 || c.scenarios[0].Concurrency != 1 || c.scenarios[0].Download {
		t.Errorf("-only: %v, %v", c.scenarios, err)
	}
	for _, bad := range [][]string{{"-rounds", "0"}, {"-n", "1"}, {"-size", "1"}, {"-only", "c2"}} {
		if _, err := parseFlags(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// A child tells what went wrong, and does not end.
func TestChildProblem(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the CPU time of a process is read as Linux has it")
	}
	for _, name := range append([]string{"other"}, lab.Sides...) {
		child, err := lab.Start(t.Context(), clientEnv+"="+name, -1)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			// Port 0 takes no connections.
			if _, err := ask(child, job{URL: "http://127.0.0.1:0/", Requests: 2, Concurrency: 2}); err == nil {
				t.Errorf("%s has answers from nobody", name)
			}
		}
		if err := child.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// made is a report of three rounds with figures that are easy to check.
func made() *report {
	r := &report{Environment: map[string]string{}, Scenarios: []scenario{
		{Name: "c9", Concurrency: 9, CPUBar: 0.5, AllocBar: 0.5},
		{Name: "big", Download: true, CPUBar: 0.5, ThroughputBar: 1},
	}}
	for i, v := range []struct{ ours, theirs float64 }{{1, 10}, {2, 20}, {3, 12}} {
		r.Rounds = append(r.Rounds,
			measurement{Scenario: "c9", Client: lab.NetHTTP, Round: i, CPU: v.theirs, Allocs: 40, ClientShare: 0.99, ServerShare: 0.2},
			measurement{Scenario: "c9", Client: lab.Sluice, Round: i, CPU: v.ours, Allocs: 30, ClientShare: 0.6, ServerShare: 0.99, PerRead: 25},
			measurement{Scenario: "big", Client: lab.NetHTTP, Round: i, CPUPerGB: 2 * v.theirs, Throughput: 500},
			measurement{Scenario: "big", Client: lab.Sluice, Round: i, CPUPerGB: v.ours, Throughput: 400})
	}
	return r
}

func TestReport(t *testing.T) {
	r := made()
	var out bytes.Buffer
	if err := r.markdown(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| c9 | sluice | **2.000** (1.000 to 3.000) | µs CPU/request |",
		"| 25.00 | - |",
		"| c9 | CPU | **0.167** | 0.100 to 0.250 | at most 0.500 | met |",
		"| c9 | allocations | **0.750** | 0.750 to 0.750 | at most 0.500 | **missed** |",
		"| big | CPU | **0.083** | 0.050 to 0.125 | at most 0.500 | met |",
		"| big | throughput | **0.800** | 0.800 to 0.800 | at least 1.000 | **missed** |",
		"c9, sluice: nghttpd was the limit (99 % of its CPU, the client 60 % of its own)",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "net/http: nghttpd was the limit") {
		t.Errorf("net/http was busy itself:\n%s", &out)
	}
	err := r.check()
	for _, want := range []string{"c9: allocations is 0.750", "big: throughput is 0.800", "the bar is at least 1.000"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the check against the bars lacks %q: %v", want, err)
		}
	}
	r.Scenarios = nil
	if err := r.check(); err != nil {
		t.Errorf("without bars: %v", err)
	}
}

func TestMeasurement(t *testing.T) {
	r := result{Used: lab.Usage{CPU: 1_000_000, Reads: 50}, Mallocs: 700, Took: 2 * time.Second}
	m := r.measurement(lab.Sluice, scenario{Name: "x"}, 100, 1e7, time.Second)
	want := measurement{
		Scenario: "x", Client: lab.Sluice, Requests: 100, CPU: 10_000, Allocs: 7, PerSecond: 50,
		Throughput: 500, CPUPerGB: 1, ClientShare: 0.5, ServerShare: 0.5, PerRead: 2,
	}
	if m != want {
		t.Errorf("%+v\nwant %+v", m, want)
	}
}
