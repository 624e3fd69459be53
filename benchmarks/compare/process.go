package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A child is a server's process, seen from here.
type child struct {
	addr string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

// startChild starts this program again as the server called name, on one CPU.
// wrap goes before its command line.
func startChild(ctx context.Context, name string, cpu int, wrap ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argv := append(append(wrap, pin(cpu)...), self)
	c := &child{cmd: exec.CommandContext(ctx, argv[0], argv[1:]...)}
	c.cmd.Env = append(os.Environ(), serveEnv+"="+name)
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	line, err := c.out.ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the server did not start: %w", err), c.stop())
	}
	c.addr = strings.TrimSpace(line)
	return c, nil
}

// snapshot asks the server's process what it has used.
func (c *child) snapshot() (s snapshot, err error) {
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		return s, fmt.Errorf("the server's process has gone: %w", err)
	}
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return s, fmt.Errorf("the server's process has gone: %w", err)
	}
	return s, json.Unmarshal(line, &s)
}

// stop ends the process and waits for it.
func (c *child) stop() error {
	c.in.Close()
	return c.cmd.Wait()
}

// pin is the command line that keeps the rest of it on one CPU.
func pin(cpu int) []string {
	if cpu < 0 {
		return nil
	}
	return []string{"taskset", "-c", strconv.Itoa(cpu)}
}

// twoCPUs returns the first two CPUs that this process may use, or -1, -1 when
// it cannot pin.
func twoCPUs() (first, second int) {
	if _, err := exec.LookPath("taskset"); err != nil {
		return -1, -1
	}
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return -1, -1
	}
	_, list, _ := strings.Cut(string(b), "Cpus_allowed_list:")
	list, _, _ = strings.Cut(list, "\n")
	cpus := parseCPUs(strings.TrimSpace(list))
	if len(cpus) < 2 {
		return -1, -1
	}
	return cpus[0], cpus[1]
}

// parseCPUs reads a list such as "0-3,8".
func parseCPUs(list string) (cpus []int) {
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		a, err := strconv.Atoi(from)
		if err != nil {
			return nil
		}
		b := a
		if isRange {
			if b, err = strconv.Atoi(to); err != nil {
				return nil
			}
		}
		for n := a; n <= b; n++ {
			cpus = append(cpus, n)
		}
	}
	return cpus
}

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
	argv := append(pin(cpu), "h2load", "-t1", "-n", strconv.Itoa(n),
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
