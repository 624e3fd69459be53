package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sluice-go/sluice/benchmarks/internal/lab"
	"github.com/sluice-go/sluice/benchmarks/internal/site"
)

// The peers.
const (
	sluice     = "sluice"
	sluiceConn = "sluice-conn"
	netHTTP    = "net/http"
	hyper      = "hyper"
	dgrr       = "dgrr"
	nghttpd    = "nghttpd"
	h2o        = "h2o"
	node       = "node"
)

// A peer is one of those that are compared.
type peer struct {
	Name string
	// missing says why the peer cannot be had on this machine; nil is always there.
	missing func() error
	// start starts it as a server.
	start func(ctx context.Context, l *laboratory, n need, wrap ...string) (*running, error)
	// paths are those of the site that it has.
	paths []string
	noTLS bool
	// client tells that it is a client, too: see clientLoad.
	client bool
	// calls tells that its system calls are counted whole: see lab.CallsOf.
	calls bool
}

// A need is what a scenario wants of a server.
type need struct {
	TLS        bool
	MaxStreams int
}

// running is a server that runs.
type running struct {
	*lab.Process
	addr  string
	what  string     // what it is, with versions
	child *lab.Child // nil unless it is one of ours, or a rival in Go
	stop  func()
}

var everything = []string{site.Hello, site.Fields, site.MiB, site.TenMiB, site.Upload}

// peers are in the order of the tables.
var peers = []peer{
	{Name: sluice, start: self(sluice), paths: everything, calls: true, client: true},
	{Name: sluiceConn, start: self(sluiceConn), paths: []string{site.Hello, site.Fields}, calls: true},
	{Name: netHTTP, start: self(netHTTP), paths: everything, calls: true, client: true},
	{Name: nghttpd, missing: nghttpdProgram.missing, start: nghttpdProgram.start, paths: []string{site.Hello, site.MiB, site.TenMiB, site.Upload}},
}

// self starts this program again as a server.
func self(name string) func(context.Context, *laboratory, need, ...string) (*running, error) {
	return func(ctx context.Context, l *laboratory, n need, wrap ...string) (*running, error) {
		return startChild(ctx, l, name, n, wrap)
	}
}

// startChild starts a program that is a server by way of site.Main.
func startChild(ctx context.Context, l *laboratory, name string, n need, wrap []string, argv ...string) (*running, error) {
	spec := site.Spec{Name: name, MaxStreams: n.MaxStreams}
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

// command tells a child what to do.
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

// peersOf returns the peers that a scenario is to be measured with: its own, or
// the chosen ones; without those that are missing or cannot do it.
func (l *laboratory) peersOf(s scenario) (of []peer) {
	wanted := s.Peers
	if l.peers != nil {
		wanted = l.peers
	}
	for _, p := range peers {
		if slices.Contains(wanted, p.Name) && l.missing[p.Name] == "" && s.do.can(p) {
			of = append(of, p)
		}
	}
	return of
}
