package main

import (
	"bytes"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
)

// The program starts itself as servers and clients: in a test, itself is the
// test.
func TestMain(m *testing.M) {
	if peerserver.Main(servers) || clientMain() || relayMain() || holdMain() {
		return
	}
	os.Exit(m.Run())
}

// needPrograms skips the test where a program is not installed, except in CI.
func needPrograms(t *testing.T, names ...string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the CPU time of a process is read as Linux has it")
	}
	for _, name := range names {
		if _, err := (program{name: name}).find(); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s must be there in CI", name)
		}
		t.Skipf("%s is not installed (Debian: apt-get install nghttp2)", name)
	}
}

// One short round of every scenario with the peers of this module, and of one of
// each kind with another: the figures mean nothing, but each part has worked,
// and each server has answered each request.
func TestOneShortRound(t *testing.T) {
	needPrograms(t, "h2load", "nghttpd")
	shortRound(t, "sluice*,baseline", "*")
	shortRound(t, netHTTP, "c10m100,tls-down-1m,up-1m,latency-c1m1,tls-idle,client-c1")
}

func shortRound(t *testing.T, names, of string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rounds.json")
	c, err := parseFlags(
		[]string{"-rounds", "1", "-seconds", "0.01", "-conns", "50", "-peers", names, "-scenarios", of, "-json", file},
	)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c.out, c.progress = &out, io.Discard
	if err := c.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range c.scenarios {
		for _, p := range peers {
			measured := strings.Contains(out.String(), "| "+s.Name+" | "+p.Name+" | **")
			if measured != (slices.Contains(c.peers, p.Name) && s.do.can(p)) {
				t.Errorf("%s, %s: measured %v, it can %v:\n%s", s.Name, p.Name, measured, s.do.can(p), &out)
			}
		}
	}
	if b, err := os.ReadFile(file); err != nil || !bytes.Contains(b, []byte(`"requests_per_second"`)) {
		t.Errorf("the JSON file: %s, %v", b, err)
	}
}

// Profiles and strace have rounds of their own.
func TestExtra(t *testing.T) {
	needPrograms(t, "h2load", "strace")
	dir := t.TempDir()
	c, err := parseFlags(
		[]string{
			"-seconds",
			"0.01",
			"-scenarios",
			"c1m1,client-c1",
			"-peers",
			"net/http",
			"-strace",
			"-profile",
			dir,
			"-profile-seconds",
			"0.1",
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c.out, c.progress = &out, io.Discard
	l, err := newRunner(c)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if err := l.extra(t.Context()); err != nil {
		t.Fatal(err)
	}
	if profiles, err := filepath.Glob(filepath.Join(dir, "*.pprof")); err != nil || len(profiles) != 2 {
		t.Errorf("profiles %v, %v", profiles, err)
	}
	for _, name := range []string{"c1m1", "client-c1"} {
		if !strings.Contains(out.String(), "System calls of net/http, "+name) {
			t.Errorf("of strace: %s", &out)
		}
	}
}

func TestParseH2load(t *testing.T) {
	const good = "starting benchmark...\n\nfinished in 1.51s, 66225.17 req/s, 2.53MB/s\n" +
		"requests: 100 total, 100 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout\n" +
		"traffic: 3.13KB (3205) total, 1.17KB (1200) headers (space savings 93.83%), 1.27KB (1300) data\n"
	tests := []struct {
		out     string
		want    time.Duration
		problem string
	}{
		{good, 1510 * time.Millisecond, ""},
		{strings.Replace(good, "1.51s", "802.50ms", 1), 802500 * time.Microsecond, ""},
		{strings.Replace(good, "100 succeeded, 0 failed", "99 succeeded, 1 failed", 1), 0, "99 of 100 requests succeeded"},
		{strings.Replace(good, "(1300)", "(1200)", 1), 0, "1200 octets of bodies came, not 1300"},
		{"Usage: h2load", 0, "its report is not in the form of nghttp2's h2load"},
	}
	for _, tt := range tests {
		got, err := parseH2load(tt.out, 100, 13)
		if got != tt.want || (err == nil) != (tt.problem == "") || err != nil && err.Error() != tt.problem {
			t.Errorf("%q: %v, %v; want %v, %q", tt.out, got, err, tt.want, tt.problem)
		}
	}
}

func TestParseFlags(t *testing.T) {
	c, err := parseFlags([]string{"-scenarios", "c1m1,tls-c*", "-peers", "x/*"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range c.scenarios {
		got = append(got, s.Name)
	}
	if want := "c1m1 tls-c10m100 tls-c1m1"; strings.Join(got, " ") != want {
		t.Errorf("-scenarios: %v, want %s", got, want)
	}
	if strings.Join(c.peers, " ") != xnet {
		t.Errorf("-peers: %v", c.peers)
	}
	for _, bad := range [][]string{
		{"-rounds", "0"},
		{"-seconds", "0"},
		{"-conns", "0"},
		{"-scenarios", "c2"},
		{"-scenarios", "["},
		{"-peers", "apache"},
		{"c1m1"},
	} {
		if _, err := parseFlags(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// Names are unique, and targets name peers and scenarios that there are.
func TestScenarios(t *testing.T) {
	known := map[string]bool{"": true}
	for _, p := range peers {
		known[p.Name] = true
	}
	seen := map[string]bool{}
	for _, s := range scenarios {
		if seen[s.Name] {
			t.Errorf("there are two scenarios %s", s.Name)
		}
		seen[s.Name] = true
		for _, name := range s.Peers {
			if !known[name] {
				t.Errorf("%s: there is no peer %s", s.Name, name)
			}
		}
	}
	for _, s := range scenarios {
		for _, b := range s.Targets {
			if b.Scenario != "" && !seen[b.Scenario] || (b.Most == 0) == (b.Least == 0) {
				t.Errorf("%s: target %+v", s.Name, b)
			}
		}
	}
}

// A client reports what went wrong, and does not end.
func TestClientProblem(t *testing.T) {
	for _, name := range []string{"other", sluice, netHTTP, baselinePeer} {
		w := worker{name: name}
		for range 2 {
			// Port 0 takes no connections.
			if _, err := w.do(job{URL: "http://127.0.0.1:0/", Requests: 2, InFlight: 2}); err == nil {
				t.Errorf("%s has answers from nobody", name)
			}
		}
	}
}

// made is a report of three rounds with figures that are easy to check.
func made() *report {
	l := &runner{
		config:  config{rounds: 3},
		h2load:  "h2load 1",
		missing: map[string]string{nghttpd: "not here"},
		what:    map[string]string{sluice: "this"},
	}
	l.scenarios = []scenario{
		{
			Name:  "few",
			Shown: small,
			Targets: []target{
				{Figure: cpuPerRequest, Peer: netHTTP, Most: 0.125},
				{Figure: cpuPerRequest, Most: 2},
				{Figure: cpuPerRequest, Peer: h2o, Most: 1},
			},
		},
		{
			Name:    "many",
			Shown:   small,
			Targets: []target{{Figure: cpuPerRequest, Scenario: "few", Most: 1.2}, {Figure: perSecond, Peer: netHTTP, Least: 1}},
		},
	}
	r := &report{runner: l}
	for i, v := range []struct{ ours, theirs, least float64 }{{1, 10, 1.6}, {2, 20, 1.8}, {3, 12, 1.2}} {
		add := func(scenario, peer string, f figures) {
			r.Rounds = append(r.Rounds, measurement{Scenario: scenario, Peer: peer, Round: i, Figures: f})
		}
		add(
			"few",
			netHTTP,
			figures{cpuPerRequest.Key: v.theirs, perSecond.Key: 1000, ownShare.Key: 0.99, loadShare.Key: 0.97},
		)
		add(
			"few",
			sluice,
			figures{cpuPerRequest.Key: v.ours, perSecond.Key: 2000, ownShare.Key: 0.6, loadShare.Key: 0.99, perRead.Key: 50},
		)
		add("few", baselinePeer, figures{cpuPerRequest.Key: v.least})
		add("many", baselinePeer, figures{cpuPerRequest.Key: 1.1 * v.least})
		add("many", netHTTP, figures{cpuPerRequest.Key: v.theirs, perSecond.Key: 1000})
		add("many", sluice, figures{cpuPerRequest.Key: 1.3 * v.ours, perSecond.Key: 900})
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
		"- sluice: this\n", "- nghttpd was not measured: not here\n",
		"| µs CPU/request | few | many |\n|---|---:|---:|\n| sluice | 2.00 | 2.60 |\n| net/http | 12.00 | 12.00 |\n",
		"| few | µs CPU/request of sluice | that of net/http | **0.167** | 0.1 to 0.25 | at most 0.125 " +
			"| **missed**; the baseline is 0.133 |",
		"| few | µs CPU/request of sluice | µs CPU/request | **2** | 1 to 3 | at most 2 | met |",
		"| many | µs CPU/request of sluice | that of few | **1.3** | 1.3 to 1.3 | at most 1.2 | **missed** |",
		"| many | requests/s of sluice | that of net/http | **0.9** | 0.9 to 0.9 | at least 1 | **missed** |",
		"| few | sluice | **2.00** (1.00 to 3.00) µs CPU/request | - | 2000 requests/s | 60 % | 99 % | 50.00 | - |",
		"| few | net/http | **12.00** (10.00 to 20.00) µs CPU/request | 0.167 |",
		"\nThe load was the limit for these peers",
		"| few | sluice | 99 % | 60 % |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &out)
		}
	}
	if _, limits, _ := strings.Cut(out.String(), "The load was the limit"); strings.Contains(limits, "net/http") {
		t.Errorf("net/http was busy itself:\n%s", &out)
	}
	err := r.check()
	for _, want := range []string{
		"few: µs CPU/request of sluice is 0.167, the target is at most 0.125 (that of net/http), the baseline is 0.133;",
		"many: requests/s of sluice is 0.9",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the check against the targets lacks %q: %v", want, err)
		}
	}
	r.Rounds = nil
	if err := r.check(); err != nil {
		t.Errorf("without figures: %v", err)
	}
}

func TestCost(t *testing.T) {
	m := cost(100, 1e7, 2*time.Second, time.Second, time.Second/2)
	for f, want := range map[figure]float64{
		cpuPerRequest: 10_000, perSecond: 50, throughput: 500, cpuPerGB: 1, ownShare: 0.5, loadShare: 0.25,
	} {
		if got := m[f.Key]; math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %v, want %v", f.Key, got, want)
		}
	}
	if _, ok := cost(100, 0, time.Second, time.Second, 0)[cpuPerGB.Key]; ok {
		t.Error("small bodies have a cost for each GB")
	}
}

// What is not installed is said so, with what would install it.
func TestMissing(t *testing.T) {
	p := program{name: "no-such-server", debian: "nothing"}
	if err := p.missing(); err == nil || !strings.Contains(err.Error(), "apt-get install nothing") {
		t.Errorf("%v", err)
	}
	if _, err := exec.LookPath("h2load"); err != nil {
		t.Skip("h2load is not installed (Debian: apt-get install nghttp2-client)")
	}
	l, err := newRunner(config{out: io.Discard, scenarios: scenarios})
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if err := l.listAll(); err != nil {
		t.Error(err)
	}
}

func TestLatencies(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	log := "1700000000000000\t200\t30\n1700000000000100\t200\t10\n1700000000000200\t200\t20\n"
	if err := os.WriteFile(file, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	took, err := readLatencies(file)
	if err != nil {
		t.Fatal(err)
	}
	if a, b, c := percentile(took, 50), percentile(took, 99), percentile(took, 1); a != 20 || b != 30 || c != 10 {
		t.Errorf("percentiles 50, 99 and 1 are %v, %v and %v", a, b, c)
	}
	for _, bad := range []string{"", "1 200\n", "1 200 x\n"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readLatencies(file); err == nil {
			t.Errorf("the log %q is accepted", bad)
		}
	}
}

// What is not an answer is a problem, and nothing is held then.
func TestHoldProblem(t *testing.T) {
	if conns, err := (holding{Addr: "127.0.0.1:1", Conns: 3}).open(); err == nil || len(conns) != 0 {
		t.Errorf("%d connections, %v", len(conns), err)
	}
}

func TestReadFrames(t *testing.T) {
	const out = `goos: linux
BenchmarkFrameRead/DATA-16KiB/sluice-2         	100	 7.1 ns/op	 2.3e+06 MB/s	 0 B/op	 0 allocs/op
BenchmarkFrameRead/HEADERS/sluice-2            	100	 6.8 ns/op
BenchmarkFrameRead/SETTINGS/sluice             	100	 70.4 ns/op
BenchmarkFrameRead/WINDOW_UPDATE/sluice-2      	100	 6.5 ns/op
BenchmarkFrameRead/SETTINGS/sluice             	100	 7.4 ns/op
BenchmarkFrameWrite/DATA-16KiB/sluice-2        	100	 210 ns/op
BenchmarkFrameWrite/DATA-16KiB/xnet-2          	100	 300 ns/op
BenchmarkFrameCopy/DATA-16KiB-2                	100	 200 ns/op
`
	m, err := readFrames(out, "sluice")
	if err != nil || m[frameRead.Key] != 7.4 || m[dataWrite.Key] != 210 || m[dataOfCopy.Key] != 1.05 {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := readFrames(out, "xnet"); err == nil {
		t.Error("x/net has read no frame")
	}
}
