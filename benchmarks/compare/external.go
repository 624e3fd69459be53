package main

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"strconv"
	"strings"

	"github.com/sluice-go/sluice/benchmarks/internal/lab"
)

// A program is a server that is not ours.
type program struct {
	name    string   // of the executable
	debian  string   // the package that has it
	version []string // arguments that print its version
	// args makes its command line for a port, and writes the files that it needs.
	args func(l *laboratory, n need, port int) ([]string, error)
}

// missing says whether it is not installed.
func (p program) missing() error {
	if _, err := p.find(); err != nil {
		return errors.New(p.name + " is not installed (Debian: apt-get install " + p.debian + ")")
	}
	return nil
}

// find looks where servers are, too, which is not everybody's PATH.
func (p program) find() (string, error) {
	if path, err := exec.LookPath(p.name); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + p.name)
}

func (p program) start(ctx context.Context, l *laboratory, n need, _ ...string) (*running, error) {
	return p.startOn(ctx, l, n, l.serverCPU)
}

func (p program) startOn(ctx context.Context, l *laboratory, n need, cpu int) (*running, error) {
	path, err := p.find()
	if err != nil {
		return nil, err
	}
	port, err := lab.FreePort()
	if err != nil {
		return nil, err
	}
	args, err := p.args(l, n, port)
	if err != nil {
		return nil, err
	}
	cmd := lab.Command(ctx, cpu, append([]string{path}, args...)...)
	cmd.Dir = l.dir
	r := &running{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), what: p.what(path)}
	if r.Process, err = lab.StartProcess(cmd); err != nil {
		return nil, err
	}
	r.stop = r.Stop
	if err := lab.AwaitListener(ctx, r.addr); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

// what is the first line in which it tells its version.
func (p program) what(path string) string {
	out, err := exec.Command(path, p.version...).CombinedOutput()
	if err != nil {
		return p.name
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if !strings.Contains(line, p.name) {
		line = p.name + " " + line
	}
	return line
}

// nghttpdProgram is nghttp2's server, in C. It serves files.
var nghttpdProgram = program{
	name: "nghttpd", debian: "nghttp2-server", version: []string{"--version"},
	args: func(l *laboratory, n need, port int) ([]string, error) {
		args := []string{"--address=127.0.0.1", "--htdocs=" + l.htdocs, "--max-concurrent-streams=" + strconv.Itoa(n.MaxStreams)}
		if n.TLS {
			return append(args, strconv.Itoa(port), l.key, l.cert), nil
		}
		return append(args, "--no-tls", strconv.Itoa(port)), nil
	},
}
