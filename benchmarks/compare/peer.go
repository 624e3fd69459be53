package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/sluice-go/sluice/benchmarks/internal/lab"
	"github.com/sluice-go/sluice/benchmarks/internal/site"
)

// The peers.
const (
	sluice     = "sluice"
	sluiceConn = "sluice-conn"
	netHTTP    = "net/http"
	netHTTP127 = "net/http-1.27" // the other is of the Go that built this program
	xnet       = "x/net"
	dgrr       = "dgrr"
	hyper      = "hyper"
	nghttpd    = "nghttpd"
	h2o        = "h2o"
	nginx      = "nginx"
	node       = "node"
	caddy      = "caddy"
	bare       = "baseline" // what the system calls alone cost: see package baseline
)

// A peer is one of those that are compared.
type peer struct {
	Name string
	// missing says why the peer cannot be had on this machine; nil is always there.
	missing func() error
	// build makes the program that start starts; nil if there is nothing to make.
	build func(context.Context, *runner) error
	// start starts it as a server.
	start func(ctx context.Context, l *runner, n need, wrap ...string) (*running, error)
	// paths are those of the site that it has.
	paths []string
	noTLS bool
	// ours reports whether a fault of the peer is a fault of this module.
	ours bool
	// client reports whether the peer is a client, too: see clientLoad.
	client bool
	// warm is how long it takes to compile itself, in seconds; 0 for what is compiled already.
	warm float64
	// calls reports whether the system calls of the peer are counted whole: see lab.CallsOf.
	calls bool
	// baseline reports whether the peer is the one that no other can be below: see package
	// baseline.
	baseline bool
}

// A need is what a scenario wants of a server.
type need struct {
	TLS        bool
	MaxStreams int
	Conns      int // at a time
}

// running is a server that runs.
type running struct {
	*lab.Process
	addr  string
	what  string     // what it is, with versions
	child *lab.Child // nil unless it is one of ours, or another peer in Go
	stop  func()
}

var (
	everything = []string{site.Hello, site.Fields, site.MiB, site.TenMiB, site.Upload}
	withSlow   = append(slices.Clone(everything), site.Sleep, site.Events)
	smallOnly  = []string{site.Hello, site.Fields}
	noUploads  = []string{site.Hello, site.Fields, site.MiB, site.TenMiB}
	noFields   = []string{site.Hello, site.MiB, site.TenMiB, site.Upload}
)

// peers are in the order of the tables.
var peers = []peer{
	{Name: sluice, ours: true, start: self(sluice), paths: withSlow, calls: true, client: true},
	{Name: sluiceConn, ours: true, start: self(sluiceConn), paths: smallOnly, calls: true},
	{Name: netHTTP, start: self(netHTTP), paths: withSlow, calls: true, client: true},
	{Name: netHTTP127, build: go127.build, start: go127.start, paths: withSlow, calls: true},
	{Name: xnet, build: goXNet.build, start: goXNet.start, paths: withSlow, calls: true},
	{Name: dgrr, build: goDgrr.build, start: goDgrr.start, paths: smallOnly, calls: true, noTLS: true},
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
		Name:     bare,
		missing:  baselineMissing,
		ours:     true,
		start:    self(bare),
		paths:    []string{site.Hello},
		calls:    true,
		client:   true,
		baseline: true,
	},
}

// The peers in Go that are built, one of them with a newer Go.
var (
	go127  = goPeer{netHTTP, "go1.27.4"}
	goXNet = goPeer{xnet, ""}
	goDgrr = goPeer{dgrr, ""}
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

// startChild starts a program that is a server by way of site.Main.
func startChild(
	ctx context.Context,
	l *runner,
	name string,
	n need,
	wrap []string,
	argv ...string,
) (*running, error) {
	spec := site.Spec{Name: name, MaxStreams: n.MaxStreams, Conns: n.Conns}
	if n.TLS {
		spec.Cert, spec.Key = l.cert, l.key
	}
	child, err := lab.Start(ctx, spec.Setting(), l.serverCPU, wrap, argv...)
	if err != nil {
		return nil, err
	}
	var g site.Greeting
	if err := json.Unmarshal([]byte(child.Greeting), &g); err != nil {
		return nil, errors.Join(fmt.Errorf("it greets with %q: %w", child.Greeting, err), child.Stop())
	}
	// How it ends is of no interest once it has been measured.
	stop := func() { _ = child.Stop() }
	return &running{Process: child.Process, addr: g.Addr, what: g.What, child: child, stop: stop}, nil
}

// command sends a command to a child.
func (r *running) command(c site.Command) error {
	var d site.Done
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

// prepare builds the peers that are wanted and must be built. One that cannot
// be is missing.
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
