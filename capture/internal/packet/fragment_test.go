package packet

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"
)

// fragments4 are fragments of an IPv4 datagram, of n octets each.
func fragments4(id int, in []byte, n int) [][]byte {
	var out [][]byte
	for at := 0; at < len(in); at += n {
		end := min(at+n, len(in))
		p := ipv4(6, in[at:end])
		more := 0x2000
		if end == len(in) {
			more = 0
		}
		binary.BigEndian.PutUint16(p[4:], uint16(id))
		binary.BigEndian.PutUint16(p[6:], uint16(more|at/8))
		out = append(out, p)
	}
	return out
}

// fragments6 are fragments of an IPv6 datagram, behind an extension header.
func fragments6(id int, in []byte, n int) [][]byte {
	in = cat([]byte{6, 0, 1, 4, 0, 0, 0, 0}, in)
	var out [][]byte
	for at := 0; at < len(in); at += n {
		end := min(at+n, len(in))
		more := 1
		if end == len(in) {
			more = 0
		}
		out = append(out, ipv6(44, cat([]byte{60, 0}, u16(at|more, 0, id), in[at:end])))
	}
	return out
}

func TestFragments(t *testing.T) {
	payload := ""
	for i := range 500 {
		payload += strings.Repeat(string(rune('a'+i%26)), 7)
	}
	for name, make := range map[string]func(int, []byte, int) [][]byte{"IPv4": fragments4, "IPv6": fragments6} {
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, 2))
			parts := make(7, tcp(payload), 8+8*r.IntN(100))
			if seed%3 == 1 { // other fragments, which overlap
				parts = append(make(7, tcp(payload), 8+8*r.IntN(100)), parts...)
			}
			if seed%3 == 2 {
				parts = append(parts, parts[:len(parts)-1]...)
			}
			parts = append(parts, make(8, tcp(payload), 496)...) // another datagram
			if seed > 0 {
				r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			}
			segs, stats, err := read(t, pcapOf(t, layers.LinkTypeRaw, parts...))
			if len(segs) < 2 || !errors.Is(err, io.EOF) {
				t.Fatalf("%s: %d: %d segments, %v, %+v", name, seed, len(segs), err, stats)
			}
			for _, s := range segs {
				if string(s.Payload) != payload || s.Cut != 0 || s.Seq != 0x11223344 {
					t.Errorf("%s: %d: octets that were not sent: %q", name, seed, s.Payload)
				}
			}
			if n := stats.Segments + stats.Fragments; n != stats.Packets || stats.Malformed != 0 {
				t.Errorf("%s: %+v", name, stats)
			}
		}
	}
}

// TestFragmentsCut has fragments that are cut off by the capture.
func TestFragmentsCut(t *testing.T) {
	parts := fragments4(1, tcp(strings.Repeat("abcdefgh", 200)), 800)
	w := &ng{order: binary.LittleEndian}
	w.section()
	w.iface(layers.LinkTypeRaw, 0)
	for _, p := range parts {
		w.packet(0, 0, len(p), p[:min(500, len(p))])
	}
	segs, stats, _ := read(t, w.file)
	if len(segs) != 1 || len(segs[0].Payload) != 500-24-32 || segs[0].Cut != 1600-(500-24-32) {
		t.Errorf("%+v, %+v", segs, stats)
	}
}

// TestFragmentsAreBounded has fragments of more datagrams than are kept.
func TestFragmentsAreBounded(t *testing.T) {
	var packets [][]byte
	for id := range 1000 {
		packets = append(packets, fragments4(id, tcp(strings.Repeat("x", 4000)), 1480)[0])
	}
	r, stats := decoder{}, Stats{}
	r.stats = &stats
	for _, p := range packets {
		r.decode(record{data: p, length: len(p), link: layers.LinkTypeRaw}, &Segment{})
	}
	if len(r.frags.parts) != maxDatagrams || stats.Incomplete != 1000-maxDatagrams || stats.Fragments != 1000 {
		t.Errorf("%d datagrams, %+v", len(r.frags.parts), stats)
	}
}

// claims is a record with a fragment, of which only the front was captured.
func claims(id, at, length, captured int, more bool) record {
	p := ipv4(6, []byte(strings.Repeat("y", captured)))
	flags := at / fragmentUnit
	if more {
		flags |= 0x2000
	}
	binary.BigEndian.PutUint16(p[2:], uint16(24+length))
	binary.BigEndian.PutUint16(p[4:], uint16(id))
	binary.BigEndian.PutUint16(p[6:], uint16(flags))
	return record{data: p, length: 24 + length, link: layers.LinkTypeRaw}
}

// TestFragmentsClaimed has fragments that claim to be long, or far behind, and of which next to
// nothing was captured: they take memory for what there is of them.
func TestFragmentsClaimed(t *testing.T) {
	for name, record := range map[string]func(i int) record{
		"long":   func(i int) record { return claims(i, 0, 65504, 8, true) },
		"behind": func(i int) record { return claims(i, 65504, 8, 8, true) },
		"none":   func(i int) record { return claims(i, 0, 65504, 0, true) },
	} {
		d, stats := decoder{}, Stats{}
		d.stats = &stats
		var before, after runtime.MemStats
		const n = 4096
		runtime.ReadMemStats(&before)
		for i := range n {
			d.decode(record(i), &Segment{})
		}
		runtime.ReadMemStats(&after)
		if stats.Fragments != n || stats.Incomplete != n-maxDatagrams {
			t.Errorf("%s: %+v", name, stats)
		}
		if each := (after.TotalAlloc - before.TotalAlloc) / n; each > 8<<10 {
			t.Errorf("%s: a fragment takes %d octets", name, each)
		}
	}
}

// TestFragmentsEnd has fragments whose claimed ends contradict each other though next to nothing
// of them was captured, and some that do not.
func TestFragmentsEnd(t *testing.T) {
	for _, tt := range []struct {
		name      string
		records   []record
		malformed uint64
		segments  int
	}{
		{"last before another", []record{claims(1, 800, 800, 8, true), claims(1, 0, 800, 8, false)}, 1, 0},
		{"behind the last", []record{claims(1, 800, 8, 8, false), claims(1, 800, 16, 8, true)}, 1, 0},
		{"two ends", []record{claims(1, 800, 8, 8, false), claims(1, 800, 16, 8, false)}, 1, 0},
		{"whole", []record{claims(1, 8, 65500, 8, false), claims(1, 0, 8, 8, true)}, 0, 1},
		{"a unit is missing", []record{claims(1, 520, 65000, 0, false), claims(1, 0, 512, 8, true)}, 0, 0},
	} {
		d, stats := decoder{}, Stats{}
		d.stats = &stats
		segments := 0
		for _, r := range tt.records {
			if s := new(Segment); d.decode(r, s) {
				if segments++; s.Cut != 65508-28 || len(s.Payload) != 0 {
					t.Errorf("%s: %d octets, %d cut", tt.name, len(s.Payload), s.Cut)
				}
			}
		}
		if stats.Malformed != tt.malformed || segments != tt.segments {
			t.Errorf("%s: %+v", tt.name, stats)
		}
	}
}

func BenchmarkFragmentsClaimed(b *testing.B) {
	d, stats := decoder{}, Stats{}
	d.stats = &stats
	for i := 0; b.Loop(); i++ {
		d.decode(claims(i, 0, 65504, 0, true), &Segment{})
	}
}
