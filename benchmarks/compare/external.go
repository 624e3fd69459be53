package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"github.com/sluice-go/sluice/benchmarks/internal/bench"
	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
	peerfiles "github.com/sluice-go/sluice/benchmarks/peers"
)

// A program is a server that is installed on the machine.
type program struct {
	name    string   // name of the executable
	debian  string   // the Debian package that has it
	version []string // arguments that print its version
	// args returns the command line for a port, and writes the files that the server needs.
	args func(l *runner, n need, port int) ([]string, error)
}

// missing returns an error where the program is not installed.
func (p program) missing() error {
	if _, err := p.find(); err != nil {
		return errors.New(p.name + " is not installed (Debian: apt-get install " + p.debian + ")")
	}
	return nil
}

// find looks in the directories of servers, too, which may not be in PATH.
func (p program) find() (string, error) {
	if path, err := exec.LookPath(p.name); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + p.name)
}

func (p program) start(ctx context.Context, l *runner, n need, _ ...string) (*running, error) {
	return p.startOn(ctx, l, n, l.serverCPU)
}

func (p program) startOn(ctx context.Context, l *runner, n need, cpu int) (*running, error) {
	path, err := p.find()
	if err != nil {
		return nil, err
	}
	port, err := bench.FreePort()
	if err != nil {
		return nil, err
	}
	args, err := p.args(l, n, port)
	if err != nil {
		return nil, err
	}
	cmd := bench.Command(ctx, cpu, append([]string{path}, args...)...)
	cmd.Dir = l.dir
	return l.startProgram(ctx, cmd, port, p.what(path))
}

// startProgram starts a server and waits until it listens on port. What the server prints until
// then is part of the error, if there is one.
func (l *runner) startProgram(ctx context.Context, cmd *exec.Cmd, port int, what string) (*running, error) {
	log, err := os.Create(filepath.Join(l.dir, strconv.Itoa(port)+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	r := &running{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), what: what}
	if r.Process, err = bench.StartProcess(cmd); err != nil {
		return nil, err
	}
	r.stop = r.Stop
	if err := bench.AwaitListener(ctx, r.addr); err != nil {
		r.stop()
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%v: %w\n%s", cmd, err, said)
	}
	return r, nil
}

// what returns the first line of the text with the program's version.
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
	name: nghttpd, debian: "nghttp2-server", version: []string{"--version"},
	args: func(l *runner, n need, port int) ([]string, error) {
		args := []string{
			"--address=127.0.0.1",
			"--htdocs=" + l.htdocs,
			"--max-concurrent-streams=" + strconv.Itoa(n.MaxStreams),
		}
		if n.TLS {
			return append(args, strconv.Itoa(port), l.key, l.cert), nil
		}
		return append(args, "--no-tls", strconv.Itoa(port)), nil
	},
}

var (
	nginxProgram = program{
		name:    nginx,
		debian:  "nginx-light",
		version: []string{"-v"},
		args:    configured("nginx.conf", "-e", "stderr", "-c"),
	}
	h2oProgram = program{
		name:    h2o,
		debian:  "h2o",
		version: []string{"--version"},
		args:    configured("h2o.conf", "-m", "worker", "-c"),
	}
	caddyProgram = program{
		name:    caddy,
		debian:  "caddy",
		version: []string{"version"},
		args:    configured("Caddyfile", "run", "--adapter", "caddyfile", "--config"),
	}
	nodeProgram = program{name: node, debian: "nodejs", version: []string{"--version"}, args: configured("node.js")}
)

// configured returns the arguments before, and the name of a file that is made
// of a template.
func configured(template string, before ...string) func(*runner, need, int) ([]string, error) {
	return func(l *runner, n need, port int) ([]string, error) {
		file, err := l.configure(template, n, port)
		return append(before[:len(before):len(before)], file), err
	}
}

// configure makes a file of a template for a server on port.
func (l *runner) configure(name string, n need, port int) (file string, err error) {
	t, err := template.ParseFS(peerfiles.Files, name)
	if err != nil {
		return "", err
	}
	file = filepath.Join(l.dir, strconv.Itoa(port)+"-"+name)
	f, err := os.Create(file)
	if err != nil {
		return "", err
	}
	return file, errors.Join(t.Execute(f, struct {
		need
		Port      int
		Dir, Root string
		Cert, Key string
		Answer    string
		Fields    []peerserver.Field
	}{n, port, l.dir, l.htdocs, l.cert, l.key, peerserver.Answer, peerserver.FieldList()}), f.Close())
}
