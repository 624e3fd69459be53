package inspect

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture"
)

// seen is a request on a connection to a server, which began at ms, was answered at response (0 is
// never), and ended at end.
type seen struct {
	conn                 uint64
	server, name         string
	begin, response, end int
}

func TestPassedOn(t *testing.T) {
	const proxy, origin, third = "192.0.2.1:443", "192.0.2.2:443", "192.0.2.3:443"
	for _, tt := range []struct {
		name string
		list []seen
		want map[uint64]bool
	}{
		{"two legs", []seen{{1, proxy, "/a", 0, 9, 20}, {2, origin, "/a", 1, 8, 21}}, map[uint64]bool{1: false, 2: true}},
		{
			"the capture ends first",
			[]seen{{1, proxy, "/a", 0, 0, 9}, {2, origin, "/a", 1, 0, 9}},
			map[uint64]bool{1: false, 2: true},
		},
		{"one after the other", []seen{{1, proxy, "/a", 0, 5, 9}, {2, origin, "/a", 10, 12, 15}}, map[uint64]bool{}},
		{"answered later", []seen{{1, proxy, "/a", 0, 5, 9}, {2, origin, "/a", 1, 6, 8}}, map[uint64]bool{}},
		{"another path", []seen{{1, proxy, "/a", 0, 5, 9}, {2, origin, "/b", 1, 3, 4}}, map[uint64]bool{}},
		{"the same server", []seen{{1, proxy, "/a", 0, 5, 9}, {2, proxy, "/a", 1, 3, 4}}, map[uint64]bool{}},
		{"many at once, over several connections", []seen{
			{1, proxy, "/a", 0, 9, 9}, {1, proxy, "/a", 0, 9, 9}, {2, origin, "/a", 1, 8, 8}, {3, origin, "/a", 2, 8, 8},
		}, map[uint64]bool{1: false, 2: true, 3: true}},
		{"two servers that it may have gone to", []seen{
			{1, proxy, "/a", 0, 9, 9}, {2, origin, "/a", 1, 8, 8}, {3, third, "/a", 2, 8, 8},
		}, map[uint64]bool{}},
		{"two servers, told apart by another request", []seen{
			{1, proxy, "/a", 0, 9, 9},
			{2, origin, "/a", 1, 8, 8},
			{3, third, "/a", 2, 8, 8},
			{1, proxy, "/b", 10, 19, 19},
			{2, origin, "/b", 11, 18, 18},
		}, map[uint64]bool{1: false, 2: true}},
		{"a chain of proxies", []seen{
			{1, proxy, "/a", 0, 9, 9}, {2, third, "/a", 1, 8, 8}, {3, origin, "/a", 2, 7, 7},
		}, map[uint64]bool{}},
		{"both sides at once", []seen{
			{1, proxy, "/a", 0, 9, 9}, {2, origin, "/a", 1, 8, 8}, {2, origin, "/b", 10, 19, 19}, {1, proxy, "/b", 11, 18, 18},
		}, map[uint64]bool{}},
	} {
		var p passings
		at := func(ms int) time.Time {
			if ms == 0 {
				return time.Time{}
			}
			return time.UnixMilli(int64(1000 + ms))
		}
		for _, s := range tt.list {
			p.add(&capture.Request{
				Conn: s.conn, Method: "GET", Authority: "A.example:443", Path: s.name, Start: at(s.begin + 1),
				Response: at(s.response), End: at(s.end),
			}, netip.MustParseAddrPort(s.server))
		}
		if diff := cmp.Diff(tt.want, p.legs()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

// What is kept to find legs is bounded, and looking for them takes no time that grows with its
// square.
func TestPassedOnBounded(t *testing.T) {
	var p passings
	r := &capture.Request{Method: "GET", Authority: "a", Path: "/", Start: time.UnixMilli(1), End: time.UnixMilli(2)}
	for i := range maxPassed + 10 {
		r.Conn = uint64(i % 100)
		p.add(r, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 10)}), 80))
	}
	if p.n != maxPassed {
		t.Errorf("%d requests are kept, want %d", p.n, maxPassed)
	}
	if legs := p.legs(); len(legs) > 0 {
		t.Errorf("%d legs of requests to ten servers at once", len(legs))
	}
	var long passings
	for i := range 100 {
		r.Path = "/" + strconv.Itoa(i) + string(make([]byte, 1<<20))
		long.add(r, netip.AddrPort{})
	}
	if long.n > 16 {
		t.Errorf("%d requests with paths of 1 MiB are kept", long.n)
	}
}

// Of the connections beside those in tunnels, those are the origin's that requests were passed on
// to.
func TestInterceptedAmongOthers(t *testing.T) {
	c := &comparison{}
	w := &twins{c: c}
	ap := netip.MustParseAddrPort
	for _, e := range []*capture.Connection{
		{ID: 1, Server: ap("192.0.2.1:3128")},
		{ID: 2, Server: ap("192.0.2.1:3128"), Parent: 1, ParentStream: 1},
		{ID: 3, Server: ap("192.0.2.2:443")},
		{ID: 4, Server: ap("192.0.2.3:443")},
	} {
		w.event(e)
	}
	for _, s := range []seen{{2, "", "/a", 0, 9, 9}, {3, "", "/a", 1, 8, 8}, {4, "", "/other", 1, 8, 8}} {
		w.event(&capture.Request{
			Conn: s.conn, Method: "GET", Authority: "a", Path: s.name, Start: time.UnixMilli(int64(s.begin)),
			Response: time.UnixMilli(int64(s.response)), End: time.UnixMilli(int64(s.end)),
		})
	}
	side := w.found()
	if len(side) != 2 || side[2] != &c.a || side[3] != &c.b {
		t.Errorf("%d connections: %v", len(side), side)
	}
}
