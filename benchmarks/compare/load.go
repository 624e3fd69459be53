package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/bench"
	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
)

// A load is what h2load does to a server.
type load struct {
	TLS     bool
	Clients int    // connections
	Streams int    // concurrent requests of each
	Path    string // default peerserver.Hello
	Down    int64  // octets of a response; 0 is those of peerserver.Answer
	Up      int64  // octets of a request's body
	Fields  bool   // requests have peerserver.NumFields more fields
	// Beside is the path of some of the requests: peerserver.Sleep of one in 20, peerserver.Events
	// of the first.
	Beside string
	// Longer makes rounds so many times as long, so that the cost of connecting hardly counts; 0 is
	// 1.
	Longer int
}

func (ld load) path() string {
	if ld.Path == "" {
		return peerserver.Hello
	}
	return ld.Path
}

// large returns the octets of a request's bodies, 0 where they do not count.
func (ld load) large() int64 { return max(ld.Down, ld.Up) }

func (ld load) need() need {
	const usual = 250 // the default of net/http and sluice
	return need{TLS: ld.TLS, MaxStreams: max(usual, ld.Streams), Conns: ld.Clients}
}

func (ld load) can(p peer) bool {
	if ld.TLS && (p.noTLS || p.baseline && ld.Clients > 1) {
		return false
	}
	if ld.Beside != "" && !slices.Contains(p.paths, ld.Beside) {
		return false
	}
	return p.start != nil && slices.Contains(p.paths, ld.path())
}

// measure runs one round with as many requests as fill it.
func (ld load) measure(ctx context.Context, l *runner, p peer) (figures, error) {
	return ld.round(ctx, l, p, 0)
}

// round runs one round: a fresh process, warmed up, and then n requests, or as many as fill the
// round if n is 0, for which what the process uses is measured. more are further arguments for
// h2load.
func (ld load) round(ctx context.Context, l *runner, p peer, n int, more ...string) (figures, error) {
	srv, err := p.start(ctx, l, ld.need())
	if err != nil {
		return nil, err
	}
	defer srv.stop()
	l.what[p.Name] = srv.what
	fill, err := ld.warm(ctx, l, p, srv)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		n = fill
	}
	u, err := startUse(srv.Process, nil)
	if err != nil {
		return nil, err
	}
	ran, err := ld.run(ctx, l, srv.addr, n, more...)
	if err != nil {
		return nil, err
	}
	if err := u.end(); err != nil {
		return nil, err
	}
	m := cost(n, ld.large(), ran.took, u.cpu, ran.cpu)
	if p.calls {
		m.set(perRead, bench.Per(n, u.reads))
		m.set(perWrite, bench.Per(n, u.writes))
	}
	return m, nil
}

// warm makes requests until the server has grown what it needs, and returns how
// many fill a round.
func (ld load) warm(ctx context.Context, l *runner, p peer, srv *running) (int, error) {
	n := max(20*ld.Clients, ld.Clients*ld.Streams)
	if ld.large() > 0 {
		n = 4 * ld.Clients
	}
	if ld.Beside == peerserver.Events {
		ld.Beside = "" // requests beside the load take the same time however many there are
	}
	n, err := l.warm(p, n, ld.Clients, func(n int) (time.Duration, error) {
		ran, err := ld.run(ctx, l, srv.addr, n)
		return ran.took, err
	})
	return n * max(1, ld.Longer), err
}

// A run is what h2load reports.
type run struct {
	took time.Duration // from its first request to its last answer
	cpu  time.Duration // CPU time of h2load
}

// run makes n requests and fails unless all succeed.
func (ld load) run(ctx context.Context, l *runner, addr string, n int, more ...string) (run, error) {
	where, err := ld.where(l, addr, n)
	if err != nil {
		return run{}, err
	}
	cmd := bench.Command(ctx, l.loadCPU, append(append(ld.args(l, n), more...), where...)...)
	cmd.Stderr = nil
	out, err := cmd.CombinedOutput()
	if err != nil {
		return run{}, fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	size := ld.Down
	if size == 0 {
		size = int64(len(peerserver.Answer))
	}
	took, err := parseH2load(string(out), n, size)
	if err != nil {
		return run{}, fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return run{took: took, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}

func (ld load) args(l *runner, n int) []string {
	args := []string{
		"h2load",
		"-t1",
		"-n",
		strconv.Itoa(n),
		"-c",
		strconv.Itoa(ld.Clients),
		"-m",
		strconv.Itoa(ld.Streams),
	}
	if ld.TLS {
		// Go's servers choose this one; others would choose a slower one that h2load offers.
		args = append(args, "--tls13-ciphers=TLS_AES_128_GCM_SHA256")
	}
	if ld.Up > 0 {
		args = append(args, "-d", l.upload)
	}
	if ld.Fields {
		for _, f := range peerserver.FieldList() {
			args = append(args, "-H", strings.ToLower(f.Name)+": "+f.Value)
		}
	}
	return args
}

// where returns the arguments that say what n requests ask for.
func (ld load) where(l *runner, addr string, n int) ([]string, error) {
	url := ld.url(addr)
	if ld.Beside == "" {
		return []string{url}, nil
	}
	beside := strings.TrimSuffix(url, ld.path()) + ld.Beside + "\n"
	list := beside + strings.Repeat(url+"\n", n-1)
	if ld.Beside == peerserver.Sleep {
		list = beside + strings.Repeat(url+"\n", oneInSleeps-1) // at the end h2load begins again
	}
	file := filepath.Join(l.dir, "uris")
	return []string{"-i", file}, os.WriteFile(file, []byte(list), 0o600)
}

// One in so many requests sleeps where some do.
const oneInSleeps = 20

func (ld load) url(addr string) string {
	scheme := "http://"
	if ld.TLS {
		scheme = "https://"
	}
	return scheme + addr + ld.path()
}

var (
	finished = regexp.MustCompile(`(?m)^finished in ([0-9.]+)(us|ms|s|m), `)
	counts   = regexp.MustCompile(`(?m)^requests: (\d+) total, .* (\d+) succeeded, `)
	traffic  = regexp.MustCompile(`(?m)^traffic: .* \((\d+)\) data$`)
)

// parseH2load reads h2load's report of n requests with size octets each.
func parseH2load(out string, n int, size int64) (time.Duration, error) {
	f, c, t := finished.FindStringSubmatch(out), counts.FindStringSubmatch(out), traffic.FindStringSubmatch(out)
	if f == nil || c == nil || t == nil {
		return 0, errors.New("its report is not in the form of nghttp2's h2load")
	}
	if want := strconv.Itoa(n); c[1] != want || c[2] != want {
		return 0, fmt.Errorf("%s of %s requests succeeded", c[2], c[1])
	}
	if want := strconv.FormatInt(int64(n)*size, 10); t[1] != want {
		return 0, fmt.Errorf("%s octets of bodies came, not %s", t[1], want)
	}
	return time.ParseDuration(f[1] + f[2])
}

// h2loadVersion returns the version of h2load, or an error if it is not installed.
func h2loadVersion() (string, error) {
	out, err := exec.Command("h2load", "--version").Output()
	if err != nil {
		return "", errors.New("h2load is not installed (Debian: apt-get install nghttp2-client)")
	}
	return strings.TrimSpace(string(out)), nil
}
