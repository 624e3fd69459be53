package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/lab"
)

// A load is what h2load tells of one run.
type load struct {
	took time.Duration // from its first request to its last answer
	cpu  time.Duration // of h2load's process
}

var (
	finished = regexp.MustCompile(`(?m)^finished in ([0-9.]+)(us|ms|s|m), `)
	counts   = regexp.MustCompile(`(?m)^requests: (\d+) total, .* (\d+) succeeded, `)
)

// h2load makes n requests and fails unless all succeed.
func h2load(ctx context.Context, cpu int, s scenario, n int, addr string) (load, error) {
	argv := append(lab.Pin(cpu), "h2load", "-t1", "-n", strconv.Itoa(n),
		"-c", strconv.Itoa(s.Clients), "-m", strconv.Itoa(s.Streams), "http://"+addr+"/")
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out)
	}
	took, err := parseH2load(string(out), n)
	if err != nil {
		return load{}, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out)
	}
	return load{took: took, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}

func parseH2load(out string, n int) (time.Duration, error) {
	f, c := finished.FindStringSubmatch(out), counts.FindStringSubmatch(out)
	if f == nil || c == nil {
		return 0, errors.New("its report is not in the form of nghttp2's h2load")
	}
	if want := strconv.Itoa(n); c[1] != want || c[2] != want {
		return 0, fmt.Errorf("%s of %s requests succeeded", c[2], c[1])
	}
	return time.ParseDuration(f[1] + f[2])
}
