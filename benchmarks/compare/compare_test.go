package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/lab"
)

// The program starts itself as the server: in a test, itself is the test.
func TestMain(m *testing.M) {
	if name := os.Getenv(serveEnv); name != "" {
		if err := serveAs(name, os.Stdin, os.Stdout); err != nil {
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
	if _, err := exec.LookPath("h2load"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("h2load must be there in CI:", err)
		}
		t.Skip("h2load makes the load and is not installed (Debian: apt-get install nghttp2-client)")
	}
	file := filepath.Join(t.TempDir(), "rounds.json")
	c, err := parseFlags([]string{"-rounds", "1", "-n", "2000", "-n1", "200", "-json", file})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c.out, c.progress = &out, io.Discard
	if err := run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| `-c10 -m100` | sluice | **", "| `-c1 -m1` | net/http | **", "| 0.550 |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &out)
		}
	}
	if b, err := os.ReadFile(file); err != nil || !bytes.Contains(b, []byte(`"cpu_us_per_request"`)) {
		t.Errorf("the JSON file: %s, %v", b, err)
	}
}

func TestParseH2load(t *testing.T) {
	const good = "starting benchmark...\n\nfinished in 1.51s, 66225.17 req/s, 2.53MB/s\n" +
		"requests: 100 total, 100 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout\n"
	tests := []struct {
		out     string
		want    time.Duration
		problem string
	}{
		{good, 1510 * time.Millisecond, ""},
		{strings.Replace(good, "1.51s", "802.50ms", 1), 802500 * time.Microsecond, ""},
		{strings.Replace(good, "100 succeeded, 0 failed", "99 succeeded, 1 failed", 1), 0, "99 of 100 requests succeeded"},
		{"Usage: h2load", 0, "its report is not in the form of nghttp2's h2load"},
	}
	for _, tt := range tests {
		got, err := parseH2load(tt.out, 100)
		if got != tt.want || (err == nil) != (tt.problem == "") || err != nil && err.Error() != tt.problem {
			t.Errorf("%q: %v, %v; want %v, %q", tt.out, got, err, tt.want, tt.problem)
		}
	}
}

func TestParseFlags(t *testing.T) {
	c, err := parseFlags([]string{"-only", "-c1 -m1"})
	if err != nil || len(c.scenarios) != 1 || !c.scenarios[0].alone() {
		t.Errorf("-only: %v, %v", c.scenarios, err)
	}
	for _, bad := range [][]string{{"-rounds", "0"}, {"-n", "1"}, {"-only", "-c2"}} {
		if _, err := parseFlags(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// made is a report of three rounds with costs that are easy to check.
func made() *report {
	s := scenario{Clients: 10, Streams: 100, Bar: 0.125}
	r := &report{Environment: map[string]string{}, Scenarios: []scenario{s}}
	for i, v := range []struct{ ours, theirs float64 }{{1, 10}, {2, 20}, {3, 12}} {
		r.Rounds = append(r.Rounds,
			measurement{Scenario: s, Server: lab.NetHTTP, Round: i, CPU: v.theirs, ServerShare: 0.99, LoadShare: 0.2},
			measurement{Scenario: s, Server: lab.Sluice, Round: i, CPU: v.ours, ServerShare: 0.6, LoadShare: 0.99, PerRead: 50})
	}
	return r
}

func TestReport(t *testing.T) {
	r := made()
	if got := r.ratio(r.Scenarios[0]); math.Abs(got-2.0/12) > 1e-9 {
		t.Errorf("the ratio of the medians is %v, want 2/12", got)
	}
	var out bytes.Buffer
	if err := r.markdown(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"**2.00** (1.00 to 3.00)",
		"**0.167** (1/6.0) | 0.100 to 0.250 | 0.125 |",
		"| 50.00 | ? |",
		"`-c10 -m100`, sluice: h2load was the limit (99 % of its CPU, the server 60 % of its own)",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "net/http: h2load was the limit") {
		t.Errorf("net/http was busy itself:\n%s", &out)
	}
	if err := r.check(); err == nil || !strings.Contains(err.Error(), "0.167") {
		t.Errorf("the check against the bar: %v", err)
	}
	r.Scenarios[0].Bar, r.Rounds = 0, nil
	if err := r.check(); err != nil {
		t.Errorf("without a bar: %v", err)
	}
}
