package main

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
)

// A scenario is one thing that peers are measured doing.
type scenario struct {
	Name    string
	What    string   // description in a few words
	Peers   []string // the peers that are measured unless -peers says otherwise
	Shown   []figure // figures in the tables, the most important one first
	Targets []target
	// Rounds bounds the rounds of a scenario whose rounds take long and hardly differ; 0: no bound.
	Rounds int
	do     doer
}

// A doer measures one round of one peer, or says that the peer cannot do this.
type doer interface {
	can(p peer) bool
	measure(ctx context.Context, l *runner, p peer) (figures, error)
}

// The peers of most scenarios.
var (
	all = []string{
		sluice, sluiceConn, netHTTP, netHTTP127, xnet, dgrr, hyper, nghttpd, h2o, nginx, node, caddy, baselinePeer,
	}
	some         = []string{sluice, sluiceConn, netHTTP, netHTTP127, hyper, nghttpd, h2o, nginx, node, baselinePeer}
	secure       = []string{sluice, sluiceConn, netHTTP, netHTTP127, nghttpd, h2o, nginx, node, baselinePeer}
	headers      = []string{sluice, netHTTP, netHTTP127, hyper, h2o, nginx}
	large        = []string{sluice, netHTTP, netHTTP127, hyper, nghttpd, h2o, nginx, node}
	scaled       = []string{sluice, netHTTP, nghttpd, h2o, baselinePeer}
	latencyPeers = []string{sluice, netHTTP, netHTTP127, nghttpd, h2o, node}
	blocking     = []string{sluice, netHTTP, netHTTP127, xnet}
	idlePeers    = []string{sluice, netHTTP, netHTTP127, xnet, hyper, nghttpd, h2o, nginx, node}
	idleTLSPeers = []string{sluice, netHTTP, netHTTP127, nghttpd, h2o, nginx}
	clientPeers  = []string{sluice, netHTTP, baselinePeer}
	relayPeers   = []string{sluice, nghttpx, haproxy}
)

var scenarios = []scenario{
	{
		Name: "c10m100", What: "h2c, 10 connections with 100 requests in flight each, 13 octets",
		Peers: all, Shown: small, do: load{Clients: 10, Streams: 100},
		Targets: append(atMost(cpuPerRequest, part{netHTTP, 1.0 / 15}, part{nghttpd, 0.9}, part{hyper, 0.5}, part{dgrr, 0.3}),
			target{Figure: cpuPerRequest, Of: sluiceConn, Peer: h2o, Most: 1}),
	},
	{
		Name: "c100m10", What: "h2c, 100 connections with 10 requests in flight each, 13 octets",
		Peers: some, Shown: small, do: load{Clients: 100, Streams: 10},
		Targets: atMost(cpuPerRequest, part{netHTTP, 1.0 / 10}, part{nghttpd, 1}),
	},
	{
		Name: "c1m1", What: "h2c, 1 request in flight, 13 octets",
		Peers: some, Shown: small, do: load{Clients: 1, Streams: 1},
		Targets: atMost(cpuPerRequest, part{netHTTP, 0.5}, part{node, 1}),
	},
	{
		Name: "tls-c10m100", What: "TLS, 10 connections with 100 requests in flight each, 13 octets",
		Peers: secure, Shown: small, do: load{TLS: true, Clients: 10, Streams: 100},
		Targets: atMost(cpuPerRequest, part{netHTTP, 1.0 / 12}, part{nghttpd, 1}),
	},
	{
		Name: "tls-c1m1", What: "TLS, 1 request in flight, 13 octets",
		Peers: secure, Shown: small, do: load{TLS: true, Clients: 1, Streams: 1},
		Targets: atMost(cpuPerRequest, part{netHTTP, 0.6}),
	},
	{
		Name: "fields-in", What: fmt.Sprintf("h2c, -c10 -m100, %d more request fields", peerserver.NumFields),
		Peers: headers, Shown: small, do: load{Clients: 10, Streams: 100, Fields: true},
		Targets: atMost(cpuPerRequest, part{netHTTP, 1.0 / 7}),
	},
	{
		Name: "fields-out", What: fmt.Sprintf("h2c, -c10 -m100, %d more response fields", peerserver.NumFields),
		Peers: headers, Shown: small, do: load{Clients: 10, Streams: 100, Path: peerserver.Fields},
		Targets: atMost(cpuPerRequest, part{netHTTP, 1.0 / 8}),
	},
	download("down-1m", false, peerserver.MiB, 1<<20, 0.4),
	download("down-10m", false, peerserver.TenMiB, 10<<20, 0.4),
	download("tls-down-1m", true, peerserver.MiB, 1<<20, 0.75),
	download("tls-down-10m", true, peerserver.TenMiB, 10<<20, 0.75),
	upload("up-1m", false, 0.5),
	upload("tls-up-1m", true, 0.9),
	{
		Name: "c10m10", What: "h2c, 10 connections with 10 requests in flight each, 13 octets",
		Peers: scaled, Shown: small, do: load{Clients: 10, Streams: 10},
	},
	{
		Name: "c10m1000", What: "h2c, 10 connections with 1,000 requests in flight each, 13 octets",
		Peers: scaled, Shown: small, do: load{Clients: 10, Streams: 1000},
		Targets: []target{{Figure: cpuPerRequest, Scenario: "c10m10", Most: flat}},
	},
	{
		Name: "c1000m10", What: "h2c, 1,000 connections with 10 requests in flight each, 13 octets",
		Peers: scaled, Shown: small, do: load{Clients: 1000, Streams: 10, Longer: 4},
		Targets: []target{{Figure: cpuPerRequest, Scenario: "c10m10", Most: flat}},
	},
	{
		Name: "latency-c1m1", What: "h2c, 1 request in flight, 13 octets: how long each takes",
		Peers: latencyPeers, Shown: waits, do: latency{load: load{Clients: 1, Streams: 1}},
		Targets: append(atMost(p50, part{netHTTP, 1}), atMost(p99, part{netHTTP, 1})...),
	},
	{
		Name:  "latency-half",
		What:  "h2c, 10 connections, half as many requests each second as net/http can answer: how long each takes",
		Peers: latencyPeers, Shown: waits, do: latency{load: load{Clients: 10, Streams: 100}, Half: true},
		Targets: append(atMost(p50, part{netHTTP, 1}), atMost(p99, part{netHTTP, 1})...),
	},
	beside("beside-sleep", "5 % of which sleep for 20 ms", peerserver.Sleep, 40),
	beside("beside-events", "and one stream of events", peerserver.Events, 41),
	{
		Name: "idle", What: "h2c, memory of each of 10,000 connections that have nothing to do",
		Peers: idlePeers, Shown: []figure{perConnection}, Rounds: 2, do: idle{Conns: 10_000},
		Targets: []target{{Figure: perConnection, Most: 6}},
	},
	{
		Name: "tls-idle", What: "TLS, memory of each of 2,000 connections that have nothing to do",
		Peers: idleTLSPeers, Shown: []figure{perConnection}, Rounds: 2, do: idle{TLS: true, Conns: 2_000},
		Targets: atMost(perConnection, part{netHTTP, 0.65}),
	},
	{
		Name: "client-c100", What: "a client, h2c, 1 connection with 100 requests in flight, 13 octets",
		Peers: clientPeers, Shown: clients, do: clientLoad{InFlight: 100},
		Targets: append(atMost(cpuPerRequest, part{netHTTP, 0.22}), target{Figure: allocations, Most: 12}),
	},
	{
		Name: "client-c1", What: "a client, h2c, 1 request in flight, 13 octets",
		Peers: clientPeers, Shown: clients, do: clientLoad{InFlight: 1},
		Targets: atMost(cpuPerRequest, part{netHTTP, 0.65}),
	},
	clientDownload("client-down", false),
	clientDownload("client-tls-down", true),
	relayed("relay-down", "tunnels over HTTP/2 on TLS, 4 at a time, 64 MiB from the origin", relayDown),
	relayed("relay-up", "tunnels over HTTP/2 on TLS, 4 at a time, 64 MiB to the origin", relayUp),
	{
		Name: "relay-new", What: "tunnels over HTTP/2 on TLS, 32 at a time, 1 octet there and back",
		Peers: relayPeers, Shown: small, do: relayLoad{Kind: relayEcho, InFlight: 32},
	},
	{
		Name: "relay-get", What: "requests of the scheme http over HTTP/2 on TLS, 32 at a time, passed on in HTTP/1.1",
		Peers: append([]string{direct}, relayPeers...), Shown: small, do: relayLoad{Kind: relayGet, InFlight: 32},
	},
	{
		Name: "frames", What: "the codec without a socket: small frames read, DATA written",
		Peers: []string{sluice, xnet}, Shown: []figure{frameRead, dataOfCopy, dataWrite}, do: frames{},
		Targets: []target{{Figure: frameRead, Most: 12}, {Figure: dataOfCopy, Most: 1.2}},
	},
}

// small, bulk, clients and waits are what is shown of scenarios with small requests and with
// large bodies.
var (
	small = []figure{cpuPerRequest, perSecond}
	bulk  = []figure{cpuPerGB, throughput}
	// clients make small requests, too.
	clients = []figure{cpuPerRequest, allocations, perSecond}
	// waits are how long requests take.
	waits = []figure{p50, p99, cpuPerRequest}
)

// flat is how much more a request may cost where a hundred times as many are in flight.
const flat = 1.2

func over(tls bool) string {
	if tls {
		return "TLS"
	}
	return "h2c"
}

func download(name string, tls bool, path string, size int64, most float64) scenario {
	return scenario{
		Name: name, What: fmt.Sprintf("%s, responses of %d MiB, 4 connections with one each", over(tls), size>>20),
		Peers: large, Shown: bulk, do: load{TLS: tls, Clients: 4, Streams: 1, Path: path, Down: size},
		Targets: atMost(cpuPerGB, part{netHTTP, most}),
	}
}

func upload(name string, tls bool, most float64) scenario {
	return scenario{
		Name: name, What: over(tls) + ", request bodies of 1 MiB, 4 connections with one each",
		Peers: large, Shown: bulk, do: load{TLS: tls, Clients: 4, Streams: 1, Path: peerserver.Upload, Up: 1 << 20},
		Targets: atMost(cpuPerGB, part{netHTTP, most}),
	}
}

func clientDownload(name string, tls bool) scenario {
	return scenario{
		Name: name, What: fmt.Sprintf("a client, %s, responses of %d MiB, one at a time", over(tls), largeSize>>20),
		Peers: clientPeers, Shown: bulk, do: clientLoad{TLS: tls, InFlight: 1, Down: largeSize},
		Targets: atMost(cpuPerGB, part{netHTTP, 0.5}),
	}
}

func relayed(name, what string, kind relayKind) scenario {
	return scenario{
		Name: name, What: what, Peers: relayPeers, Shown: bulk,
		do:      relayLoad{Kind: kind, InFlight: 4, Size: 64 << 20},
		Targets: atMost(cpuPerGB, part{nghttpx, 1}, part{haproxy, 1}),
	}
}

// beside returns a scenario of quick requests beside handlers that block.
func beside(name, what, path string, streams int) scenario {
	s := scenario{
		Name:  name,
		What:  "h2c, 1 connection with 40 requests in flight, 13 octets, " + what + ": how long each of the others takes",
		Peers: blocking, Shown: []figure{p50, p90, p99, cpuPerRequest},
		do: latency{load: load{Clients: 1, Streams: streams, Beside: path}},
	}
	for _, f := range []figure{p50, p90, p99} {
		s.Targets = append(s.Targets, atMost(f, part{netHTTP, 1})...)
	}
	return s
}

// A part is how much of a peer's figure is allowed.
type part struct {
	peer string
	most float64
}

// atMost returns a target for each part.
func atMost(f figure, parts ...part) (targets []target) {
	for _, r := range parts {
		targets = append(targets, target{Figure: f, Peer: r.peer, Most: r.most})
	}
	return targets
}

// choose returns the scenarios that one of the patterns matches, in order.
func choose(patterns string) ([]scenario, error) {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.Name)
	}
	chosen, err := match(names, patterns)
	if err != nil {
		return nil, fmt.Errorf("-scenarios: %w", err)
	}
	return slices.DeleteFunc(
		slices.Clone(scenarios),
		func(s scenario) bool { return !slices.Contains(chosen, s.Name) },
	), nil
}

// match returns the names that one of the patterns, separated by commas,
// matches as path.Match does. A pattern that matches nothing is an error.
func match(names []string, patterns string) (chosen []string, err error) {
	for pattern := range strings.SplitSeq(patterns, ",") {
		before := len(chosen)
		for _, name := range names {
			// To path.Match a slash is special; here it is a letter.
			ok, err := path.Match(strings.ReplaceAll(pattern, "/", "|"), strings.ReplaceAll(name, "/", "|"))
			if err != nil {
				return nil, fmt.Errorf("%q: %w", pattern, err)
			}
			if ok {
				chosen = append(chosen, name)
			}
		}
		if len(chosen) == before {
			return nil, fmt.Errorf("nothing is called %q; there are %s", pattern, strings.Join(names, ", "))
		}
	}
	return chosen, nil
}
