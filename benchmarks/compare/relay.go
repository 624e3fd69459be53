package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/bench"
)

// A relayLoad is what a proxy has to do: to carry tunnels, or requests, that come over one
// connection of HTTP/2 on TLS to a proxy behind it, each over a connection of HTTP/1.1 in clear.
// Every peer has the same proxy behind it, since some can do no more than pass CONNECT on. The
// process that makes the load is client, proxy behind and origin at the same time.
type relayLoad struct {
	Kind     relayKind
	InFlight int
	Size     int64 // octets that a tunnel carries; 0 where those do not count
}

// relayKind is what the tunnels of a relayLoad carry.
type relayKind string

const (
	relayDown relayKind = "down" // octets from the origin
	relayUp   relayKind = "up"   // octets to the origin
	relayEcho relayKind = "echo" // one octet there and back
	relayGet  relayKind = "get"  // no tunnel: a request with the scheme http
	directGet relayKind = "direct"
)

func (rl relayLoad) can(p peer) bool {
	if rl.Kind == relayGet && p.Name == direct {
		return true
	}
	return p.relay != nil && p.Name != direct
}

// A relayRun is a proxy between the two ends of the load.
type relayRun struct {
	proxy *running
	ends  *bench.Child
	job   relayJob
}

func (rl relayLoad) start(
	ctx context.Context, l *runner, p peer, spec relaySpec, wrap ...string,
) (*relayRun, error) {
	ends, err := bench.Start(ctx, relayEnv+"="+relayEnds, l.loadCPU, nil)
	if err != nil {
		return nil, err
	}
	r := &relayRun{ends: ends}
	spec.Backend = ends.Greeting
	if r.proxy, err = p.relay(ctx, l, spec, wrap...); err != nil {
		return nil, errors.Join(err, ends.Stop())
	}
	r.job = relayJob{Proxy: r.proxy.addr, Root: l.root, Kind: rl.Kind, InFlight: rl.InFlight, Size: rl.Size}
	if p.Name == direct {
		r.job.Kind = directGet
	}
	if _, err := r.do(1); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

func (r *relayRun) stop() {
	_ = r.ends.Stop() // how it ends is of no interest once it has been measured
	r.proxy.stop()
}

// do has n tunnels or requests made; with 0 the ends only collect garbage.
func (r *relayRun) do(n int) (time.Duration, error) {
	var d relayDone
	r.job.Count = n
	if err := r.ends.Ask(r.job, &d); err != nil {
		return 0, err
	}
	if d.Problem != "" {
		return 0, errors.New(d.Problem)
	}
	return d.Took, nil
}

func (rl relayLoad) measure(ctx context.Context, l *runner, p peer) (figures, error) {
	r, err := rl.start(ctx, l, p, relaySpec{})
	if err != nil {
		return nil, err
	}
	defer r.stop()
	l.what[p.Name] = r.proxy.what
	n, err := l.warm(p, rl.InFlight, rl.InFlight, r.do)
	if err != nil {
		return nil, err
	}
	if _, err := r.do(0); err != nil {
		return nil, err
	}
	u, err := startUse(r.proxy.Process, r.ends.Process)
	if err != nil {
		return nil, err
	}
	took, err := r.do(n)
	if err != nil {
		return nil, err
	}
	if err := u.end(); err != nil {
		return nil, err
	}
	return cost(n, rl.Size, took, u.cpu, u.loadCPU), nil
}

// profile has the proxy write a profile of its whole life.
func (rl relayLoad) profile(ctx context.Context, l *runner, p peer, file string) error {
	r, err := rl.start(ctx, l, p, relaySpec{Profile: file})
	if err != nil {
		return err
	}
	defer r.stop()
	n, err := l.warm(p, rl.InFlight, rl.InFlight, r.do)
	if err != nil {
		return err
	}
	_, err = r.do(l.profileRequests(n))
	return err
}

func (rl relayLoad) straced(ctx context.Context, l *runner, p peer) (table []byte, err error) {
	r, err := rl.start(ctx, l, p, relaySpec{}, l.straceCommand()...)
	if err != nil {
		return nil, err
	}
	_, err = l.warm(p, rl.InFlight, rl.InFlight, r.do)
	r.stop()
	if err != nil {
		return nil, err
	}
	return os.ReadFile(l.straceFile())
}

// The proxies that are compared.

// selfRelay starts this program again as a proxy, or as a server that answers itself.
func selfRelay(name string) func(context.Context, *runner, relaySpec, ...string) (*running, error) {
	return func(ctx context.Context, l *runner, spec relaySpec, wrap ...string) (*running, error) {
		spec.Name, spec.Cert, spec.Key = name, l.cert, l.key
		setting, err := json.Marshal(spec)
		if err != nil {
			return nil, err
		}
		child, err := bench.Start(ctx, relayEnv+"="+string(setting), l.serverCPU, wrap)
		if err != nil {
			return nil, err
		}
		stop := func() { _ = child.Stop() }
		return &running{Process: child.Process, addr: child.Greeting, what: relayWhat(name), child: child, stop: stop}, nil
	}
}

// relay starts the program as a proxy in front of another.
func (p program) relay(
	configured func(l *runner, port int, backend string) ([]string, error),
) func(context.Context, *runner, relaySpec, ...string) (*running, error) {
	return func(ctx context.Context, l *runner, spec relaySpec, wrap ...string) (*running, error) {
		path, err := p.find()
		if err != nil {
			return nil, err
		}
		port, err := bench.FreePort()
		if err != nil {
			return nil, err
		}
		args, err := configured(l, port, spec.Backend)
		if err != nil {
			return nil, err
		}
		argv := append(append(wrap, path), args...)
		return l.startProgram(ctx, bench.Command(ctx, l.serverCPU, argv...), port, p.what(path))
	}
}

var (
	nghttpxProgram = program{name: nghttpx, debian: "nghttp2-proxy", version: []string{"--version"}}
	haproxyProgram = program{name: haproxy, debian: "haproxy", version: []string{"-v"}}
)

func nghttpxArgs(l *runner, port int, backend string) ([]string, error) {
	host, backendPort, err := net.SplitHostPort(backend)
	if err != nil {
		return nil, err
	}
	return []string{
		"--frontend=127.0.0.1," + strconv.Itoa(port), "--backend=" + host + "," + backendPort,
		"--http2-proxy", "--workers=1", "--no-ocsp", "--errorlog-file=/dev/stderr", "--log-level=ERROR",
		"--frontend-http2-max-concurrent-streams=250", l.key, l.cert,
	}, nil
}

func haproxyArgs(l *runner, port int, backend string) ([]string, error) {
	pem := filepath.Join(l.dir, "both.pem")
	cert, err := os.ReadFile(l.cert)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(l.key)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(l.dir, fmt.Sprintf("haproxy-%d.cfg", port))
	text := fmt.Sprintf(haproxyConfig, port, pem, backend)
	return []string{"-db", "-q", "-f", file}, errors.Join(
		os.WriteFile(pem, append(cert, key...), 0o600), os.WriteFile(file, []byte(text), 0o600))
}

const haproxyConfig = `
global
	nbthread 1
	maxconn 2000
	tune.h2.max-concurrent-streams 250
	ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend front
	bind 127.0.0.1:%d ssl crt %s alpn h2
	default_backend back
backend back
	server behind %s
`
