package core

import (
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// literalThen makes a block of a request with one field that enters the table, and references to
// it.
func literalThen(p *peer, id uint32, name, value string, references int) []byte {
	m := h2test.GetOpen(id)
	if value != "" {
		m.Fields = append(m.Fields, h2test.Field(name, value))
	}
	block := p.codec.Block(m.Fields...)
	block = append(block, strings.Repeat("\xbe", references)...) // the newest entry
	return frame.Headers{StreamID: id, EndHeaders: true, Fragment: block}.Append(nil)
}

// An octet can stand for a cookie crumb of 4 KB; joined, fifteen of them would be 60 KB of memory
// for each of the requests that are open. Such a request is refused: no client has a crumb more
// than once.
func TestMultipliedCookies(t *testing.T) {
	p := newPeer(t, Server, func(cfg *Config) {
		cfg.MaxConcurrentStreams, cfg.MaxHeaderBytes, cfg.MaxHeaderFields = 250, 1<<20, 500
	})
	p.send(literalThen(p, 1, "cookie", strings.Repeat("c", 3900), 0))
	sent := 4000
	before := heap()
	for i := range 249 {
		b := literalThen(p, ids(i+1), "", "", 15)
		sent += len(b)
		p.send(b)
		if !p.stream(ids(i + 1)).Head.TooLarge {
			t.Fatalf("request %d was taken", i)
		}
	}
	p.out, p.events = nil, nil
	if grown := heap() - before; grown > 2<<20 {
		t.Errorf("%d octets keep %d KiB", sent, grown>>10)
	}
	runtime.KeepAlive(p)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The crumbs that a client has are in the table once each, whatever their order is.
func TestHonestCookiesFromTheTable(t *testing.T) {
	p := newPeer(t, Server, func(cfg *Config) { cfg.MaxHeaderBytes, cfg.MaxHeaderFields = 1<<20, 500 })
	for i := range 100 {
		var crumbs []string
		for k := range 80 {
			crumbs = append(crumbs, fmt.Sprintf("cookie: n%d=%d", (k+i)%80, (k+i)%80))
		}
		p.send(h2test.GetOpen(ids(i), crumbs...))
		s := p.stream(ids(i))
		if s.Head.TooLarge || len(s.Head.Fields) != 1 || strings.Count(s.Head.Fields[0].Value, "; ") != 79 {
			t.Fatalf("request %d: %v", i, s.Head)
		}
		p.answer(ids(i), true)
		p.c.StopRecv(s)
	}
}

// Priority fields cost about as much as others: what is long, and what is beyond the first few, is
// not parsed.
func TestPriorityFieldsAreBounded(t *testing.T) {
	stated := func(values ...string) (list []string) {
		for _, v := range values {
			list = append(list, "priority: "+v)
		}
		return list
	}
	for _, tt := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"one", []string{"priority: u=1"}, "u=1"},
		{"four, the last counts", stated("u=1", "u=2", "u=4", "u=5, i"), "u=5, i"},
		{"the fifth does not", stated("u=1", "u=2", "u=4", "u=5", "u=6"), "u=5"},
		{"a long one", []string{"priority: u=1, x=" + strings.Repeat("1", 300)}, "u=3"},
		{"a long one before", []string{"priority: u=1, x=" + strings.Repeat("1", 300), "priority: u=2"}, "u=2"},
	} {
		p := newPeer(t, Server)
		for i := range 3 { // also as it is remembered
			p.send(h2test.Get(ids(i), tt.fields...))
			got := p.stream(ids(i)).Priority()
			if known := tt.want != "u=3"; got.Extensible != known || known && got.Field() != tt.want {
				t.Errorf("%s: %v, want %s", tt.name, got, tt.want)
			}
		}
	}
}

// Whatever a limit is, a request is served, and a few frames of each kind are taken.
func TestExtremeLimits(t *testing.T) {
	typ := reflect.TypeFor[Limits]()
	for i := range typ.NumField() {
		for _, v := range []int{math.MaxInt, math.MaxInt32, math.MinInt, -1, 0} {
			for _, role := range []Role{Server, Client} {
				var l Limits
				reflect.ValueOf(&l).Elem().Field(i).SetInt(int64(v))
				p := newPeer(t, role, func(cfg *Config) {
					cfg.Limits, cfg.MaxConcurrentStreams = l, math.MaxUint32
					cfg.MaxHeaderBytes, cfg.MaxHeaderFields, cfg.MaxUnread = math.MaxUint32, math.MaxInt, math.MaxInt64
				})
				for n := range 30 {
					id := ids(n)
					if role == Client {
						p.open(true)
						p.send(h2test.Response(id, 200).Cut(3), h2test.Data(id, ""), h2test.Data(id, "x"), h2test.DataEnd(id, "y"))
					} else {
						p.send(h2test.GetOpen(id).Cut(3), h2test.Data(id, ""), h2test.Data(id, "x"), h2test.DataEnd(id, "y"))
						p.answer(id, true)
						p.send(h2test.Get(id+1000), h2test.RST(id+1000, frame.Cancel))
					}
					p.send(h2test.Ping("12345678"), h2test.WindowUpdate(0, 1), h2test.Settings(), h2test.Frame(0xbb, 0, 0))
					p.alive(fmt.Sprintf("%s of %d", typ.Field(i).Name, v))
					if role == Server {
						break // higher identifiers are in use
					}
				}
			}
		}
	}
}
