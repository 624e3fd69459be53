package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/sluice-go/sluice/benchmarks/internal/bench"
	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
)

// The peers.
const (
	sluice       = "sluice"
	sluiceConn   = "sluice-conn"
	netHTTP      = "net/http"
	netHTTP127   = "net/http-1.27" // the other is of the Go that built this program
	xnet         = "x/net"
	dgrr         = "dgrr"
	hyper        = "hyper"
	nghttpd      = "nghttpd"
	h2o          = "h2o"
	nginx        = "nginx"
	node         = "node"
	caddy        = "caddy"
	baselinePeer = "baseline" // what the system calls alone cost: see package baseline
	nghttpx      = "nghttpx"
	haproxy      = "haproxy"
	direct       = "direct" // a server without a proxy before it
)

// A peer is a server or client that is compared.
type peer struct {
	Name string
	// missing says why the peer is not on this machine; nil for one that always is.
	missing func() error
	// build makes the program that start starts; nil if there is nothing to build.
	build func(context.Context, *runner) error
	// start starts the peer as a server.
	start func(ctx context.Context, l *runner, n need, wrap ...string) (*running, error)
	// relay starts the peer as a proxy in front of another; nil if it is no proxy.
	relay func(ctx context.Context, l *runner, spec relaySpec, wrap ...string) (*running, error)
	// paths are the paths of package peerserver that the peer answers.
	paths []string
	noTLS bool
	// ours is true where a fault of the peer is a fault of this module.
	ours bool
	// client is true where the peer is a client, too: see clientLoad.
	client bool
	// warm is how long a peer that compiles itself takes for that, in seconds.
	warm float64
	// calls is true where bench.CallsOf counts all system calls of the peer.
	calls bool
	// baseline is true for the least that system calls alone take: see package baseline.
	baseline bool
}

// A need is what a scenario demands of a server.
type need struct {
	TLS        bool
	MaxStreams int
	Conns      int // connections at a time
}

// running is a server that runs.
type running struct {
	*bench.Process
	addr  string
	what  string       // the program, with versions
	child *bench.Child // nil unless it is a server in Go
	stop  func()
}

var (
	everything = []string{peerserver.Hello, peerserver.Fields, peerserver.MiB, peerserver.TenMiB, peerserver.Upload}
	withSlow   = append(slices.Clone(everything), peerserver.Sleep, peerserver.Events)
	smallOnly  = []string{peerserver.Hello, peerserver.Fields}
	noUploads  = []string{peerserver.Hello, peerserver.Fields, peerserver.MiB, peerserver.TenMiB}
	noFields   = []string{peerserver.Hello, peerserver.MiB, peerserver.TenMiB, peerserver.Upload}
)

// peers are in the order of the tables.
var peers = []peer{
	{
		Name: sluice, ours: true, start: self(sluice), relay: selfRelay(sluice), paths: withSlow, calls: true, client: true,
	},
	{Name: sluiceConn, ours: true, start: self(sluiceConn), paths: smallOnly, calls: true},
	{Name: netHTTP, start: self(netHTTP), paths: withSlow, calls: true, client: true},
	{Name: netHTTP127, build: go127.build, start: go127.start, paths: withSlow, calls: true},
	{Name: xnet, build: xnetPeer.build, start: xnetPeer.start, paths: withSlow, calls: true},
	{Name: dgrr, build: dgrrPeer.build, start: dgrrPeer.start, paths: smallOnly, calls: true, noTLS: true},
	{
		Name:    hyper,
		missing: hyperPeer{}.missing,
		build:   hyperPeer{}.build,
		start:   hyperPeer{}.start,
		paths:   everything,
		noTLS:   true,
	},
	{Name: nghttpd, missing: nghttpdProgram.missing, start: nghttpdProgram.start, paths: noFields},
	{Name: h2o, missing: h2oProgram.missing, start: h2oProgram.start, paths: noUploads},
	{Name: nginx, missing: nginxProgram.missing, start: nginxProgram.start, paths: noUploads},
	{Name: node, missing: nodeProgram.missing, start: nodeProgram.start, warm: 0.5, paths: everything},
	{Name: caddy, missing: caddyProgram.missing, start: caddyProgram.start, paths: noUploads},
	{
		Name:     baselinePeer,
		missing:  baselineMissing,
		ours:     true,
		start:    self(baselinePeer),
		paths:    []string{peerserver.Hello},
		calls:    true,
		client:   true,
		baseline: true,
	},
	{Name: nghttpx, missing: nghttpxProgram.missing, relay: nghttpxProgram.relay(nghttpxArgs)},
	{Name: haproxy, missing: haproxyProgram.missing, relay: haproxyProgram.relay(haproxyArgs)},
	{Name: direct, ours: true, relay: selfRelay(direct), calls: true},
}

// The Go peers that are built, one of them with a newer Go.
var (
	go127    = goPeer{netHTTP, "go1.27.4"}
	xnetPeer = goPeer{xnet, ""}
	dgrrPeer = goPeer{dgrr, ""}
)

func baselineMissing() error {
	if runtime.GOOS != "linux" {
		return errors.New("its system calls are those of Linux")
	}
	return nil
}

// self starts this program again as a server.
func self(name string) func(context.Context, *runner, need, ...string) (*running, error) {
	return func(ctx context.Context, l *runner, n need, wrap ...string) (*running, error) {
		return startChild(ctx, l, name, n, wrap)
	}
}

// startChild starts a program that is a server by way of peerserver.Main.
func startChild(
	ctx context.Context,
	l *runner,
	name string,
	n need,
	wrap []string,
	argv ...string,
) (*running, error) {
	spec := peerserver.Spec{Name: name, MaxStreams: n.MaxStreams, Conns: n.Conns}
	if n.TLS {
		spec.Cert, spec.Key = l.cert, l.key
	}
	child, err := bench.Start(ctx, spec.Setting(), l.serverCPU, wrap, argv...)
	if err != nil {
		return nil, err
	}
	var g peerserver.Greeting
	if err := json.Unmarshal([]byte(child.Greeting), &g); err != nil {
		return nil, errors.Join(fmt.Errorf("it greets with %q: %w", child.Greeting, err), child.Stop())
	}
	// Once the child has been measured, how it ends does not matter.
	stop := func() { _ = child.Stop() }
	return &running{Process: child.Process, addr: g.Addr, what: g.What, child: child, stop: stop}, nil
}

// command has a child obey a command.
func (r *running) command(c peerserver.Command) error {
	var d peerserver.Done
	if err := r.child.Ask(c, &d); err != nil {
		return err
	}
	if d.Problem != "" {
		return errors.New(d.Problem)
	}
	return nil
}

// choosePeers returns the peers that one of the patterns matches, in order.
func choosePeers(patterns string) ([]string, error) {
	var names []string
	for _, p := range peers {
		names = append(names, p.Name)
	}
	chosen, err := match(names, patterns)
	if err != nil {
		return nil, fmt.Errorf("-peers: %w", err)
	}
	return chosen, nil
}

// wants reports whether a scenario is to be measured with a peer.
func (l *runner) wants(s scenario, p peer) bool {
	wanted := s.Peers
	if l.peers != nil {
		wanted = l.peers
	}
	return slices.Contains(wanted, p.Name) && s.do.can(p)
}

// peersOf returns the peers that a scenario is measured with: those that are
// wanted, are not missing and have not failed before.
func (l *runner) peersOf(s scenario) (of []peer) {
	for _, p := range peers {
		if l.missing[p.Name] == "" && l.failed[s.Name+", "+p.Name] == "" && l.wants(s, p) {
			of = append(of, p)
		}
	}
	return of
}

// prepare builds the peers that are wanted and must be built. One that cannot be built is missing.
func (l *runner) prepare(ctx context.Context) {
	for _, p := range peers {
		wanted := slices.ContainsFunc(l.scenarios, func(s scenario) bool { return l.wants(s, p) })
		if !wanted || p.build == nil || l.missing[p.Name] != "" {
			continue
		}
		fmt.Fprintln(l.progress, "building", p.Name)
		if err := p.build(ctx, l); err != nil {
			l.missing[p.Name] = err.Error()
		}
	}
}
