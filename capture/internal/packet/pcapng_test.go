package packet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"
)

// orders are those that pcapng files may have.
var orders = map[string]binary.AppendByteOrder{
	"little endian": binary.LittleEndian, "big endian": binary.BigEndian,
}

// everything is a pcapng file of two sections with all kinds of blocks.
func everything(order binary.AppendByteOrder) []byte {
	w := &ng{order: order}
	micros := uint64(epoch.UnixMicro())
	v4, v6 := ipv4(6, tcp(hello)), ipv6(6, tcp(hello))
	w.section()
	w.block(blockSecrets, w.nums(secretsTLS, 5), []byte("one\r\n"))
	w.iface(layers.LinkTypeEthernet, 1<<18, w.option(2, []byte("eth0")), w.nums(0))
	w.iface(layers.LinkTypeRaw, 0, w.option(9, []byte{9}), w.option(14, order.AppendUint64(nil, 1000)))
	w.packet(0, micros, 14+len(v4), ethernet(0x0800, v4), w.option(1, []byte("a comment")), w.nums(0))
	w.block(4, w.nums(0), []byte("names"))
	w.packet(1, uint64(epoch.UnixNano())-1000e9, len(v6), v6)
	w.block(5, w.nums(0, 0, 0))
	w.block(blockSecrets, w.nums(0x57474b4c, 4), []byte("WireGuard"))
	w.block(0x0bad, []byte("a custom block"))
	w.section()
	w.iface(layers.LinkTypeRaw, 80, w.option(9, []byte{0x80 | 20}), w.nums(0)) // 2^-20 s
	w.block(blockSecrets, w.nums(secretsTLS, 3), []byte("two"))
	w.block(blockPacket, w.order.AppendUint16(w.order.AppendUint16(nil, 0), 7),
		w.nums(0, 3<<20, uint32(len(v4)), uint32(len(v4))), v4)
	w.block(blockSimple, w.nums(uint32(len(v6))), v6[:80])
	return w.file
}

func TestPcapng(t *testing.T) {
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			var secrets []string
			r, err := NewReader(bytes.NewReader(everything(order)), Options{
				Secrets: func(p []byte) { secrets = append(secrets, string(p)) },
			})
			if err != nil {
				t.Fatal(err)
			}
			section2 := time.Unix(3, 0).UTC()
			n := len(ipv6(6, tcp(hello))) - 80
			for i, w := range []Segment{
				{Number: 1, Time: epoch, Payload: []byte(hello)},
				{Number: 2, Time: epoch, Payload: []byte(hello), Interface: 1},
				{Number: 3, Time: section2, Payload: []byte(hello), Interface: 2},
				{Number: 4, Time: section2, Payload: []byte(hello[:len(hello)-n]), Cut: n, Interface: 2},
			} {
				s, err := r.Next()
				if err != nil {
					t.Fatal(err)
				}
				full := want(i%2 == 1)
				full.Number, full.Time, full.Payload, full.Cut, full.Interface = w.Number, w.Time, w.Payload, w.Cut, w.Interface
				if d := diff(full, *s); d != "" {
					t.Errorf("packet %d: -want +got\n%s", i+1, d)
				}
			}
			if _, err := r.Next(); !errors.Is(err, io.EOF) {
				t.Error("the end of the file is", err)
			}
			if d := cmp.Diff([]string{"one\r\n", "two"}, secrets); d != "" {
				t.Errorf("secrets: -want +got\n%s", d)
			}
			if d := cmp.Diff(Stats{Packets: 4, Segments: 4, Cut: 1}, r.Stats()); d != "" {
				t.Errorf("counted: -want +got\n%s", d)
			}
		})
	}
}

func TestSecretsComeBeforeTheirPackets(t *testing.T) {
	var got []string
	r, err := NewReader(bytes.NewReader(everything(binary.LittleEndian)), Options{
		Secrets: func([]byte) { got = append(got, "secrets") },
	})
	for err == nil {
		if _, err = r.Next(); err == nil {
			got = append(got, "segment")
		}
	}
	if order := strings.Join(got, " "); !strings.HasPrefix(order, "secrets") || strings.Count(order, "secrets") != 2 {
		t.Error(order)
	}
}

// TestBadBlocks has blocks that contradict themselves before a packet, which is read.
func TestBadBlocks(t *testing.T) {
	p := ipv4(6, tcp(hello))
	for name, bad := range map[string]func(w *ng){
		"no such interface":      func(w *ng) { w.packet(1, 0, len(p), p) },
		"no such interface, old": func(w *ng) { w.block(blockPacket, w.nums(7<<16|7, 0, 0, 4, 4), p[:4]) },
		"longer than its block":  func(w *ng) { w.block(blockEnhanced, w.nums(0, 0, 0, 9, 9), p[:8]) },
		"far longer":             func(w *ng) { w.block(blockEnhanced, w.nums(0, 0, 0, 0xffffffff, 9), p[:8]) },
		"no header":              func(w *ng) { w.block(blockEnhanced, w.nums(0, 0)) },
		"too long": func(w *ng) {
			w.packet(0, 0, maxPacket+1, make([]byte, maxPacket+1))
		},
		"simple, without a length": func(w *ng) { w.block(blockSimple) },
		"simple, longer":           func(w *ng) { w.block(blockSimple, w.nums(100), p[:8]) },
	} {
		for order := range orders {
			t.Run(name+", "+order, func(t *testing.T) {
				w := &ng{order: orders[order]}
				w.section()
				w.iface(layers.LinkTypeRaw, 0)
				bad(w)
				w.packet(0, uint64(epoch.UnixMicro()), len(p), p)
				segs, stats, err := read(t, w.file)
				if d := diff([]Segment{want(false)}, segs); d != "" || !errors.Is(err, io.EOF) {
					t.Errorf("%v; -want +got\n%s", err, d)
				}
				if d := cmp.Diff(Stats{Packets: 1, Segments: 1, BadBlocks: 1}, stats); d != "" {
					t.Errorf("counted: -want +got\n%s", d)
				}
			})
		}
	}
}

// TestOptionsOutOfOrder has options that are longer than their blocks.
func TestOptionsOutOfOrder(t *testing.T) {
	p := ipv4(6, tcp(hello))
	w := &ng{order: binary.BigEndian}
	w.block(blockSection, w.nums(0x1a2b3c4d, 1<<16, 0, 0), []byte{0, 4, 0xff, 0xff})
	w.iface(layers.LinkTypeRaw, 0, []byte{0, 2, 0, 9}, []byte("eth0"))
	w.packet(0, uint64(epoch.UnixMicro()), len(p), p, []byte{0, 1, 0xff, 0xf0}, []byte("comment"))
	w.packet(0, uint64(epoch.UnixMicro()), len(p), p)
	segs, _, err := read(t, w.file)
	second := want(false)
	second.Number = 2
	if d := diff([]Segment{want(false), second}, segs); d != "" || !errors.Is(err, io.EOF) {
		t.Errorf("%v; -want +got\n%s", err, d)
	}
}

func TestDamagedPcapng(t *testing.T) {
	le := func(f func(w *ng)) []byte {
		w := &ng{order: binary.LittleEndian}
		w.section()
		w.iface(layers.LinkTypeRaw, 0)
		f(w)
		return w.file
	}
	for _, test := range []struct {
		name string
		file []byte
		want string
	}{
		{"length 8", le(func(w *ng) { w.file = append(w.file, w.nums(6, 8, 8)...) }), "type 6 has the length 8"},
		{"length 13", le(func(w *ng) { w.file = append(w.file, w.nums(6, 13, 13)...) }), "the length 13"},
		{"length 4 GiB", le(func(w *ng) { w.file = append(w.file, w.nums(6, 0xfffffffc, 0)...) }), "the length 4294967292"},
		{"no order", le(func(w *ng) { w.block(blockSection, w.nums(7, 1, 0, 0)) }), "order of octets is 07 00 00 00"},
		{"a short section", le(func(w *ng) { w.block(blockSection, w.nums(0x1a2b3c4d)) }), "has 16 octets only"},
		{"a short interface", le(func(w *ng) { w.block(blockInterface) }), "an interface has 12 octets"},
		{
			"a long interface", le(func(w *ng) { w.block(blockInterface, make([]byte, maxInterfaceBlock)) }),
			"an interface has 65548 octets",
		},
		{"interfaces", le(func(w *ng) {
			for range maxInterfaces {
				w.iface(layers.LinkTypeRaw, 0)
			}
		}), "more than 4096 interfaces"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := read(t, test.file)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v: that is not %q", err, test.want)
			}
		})
	}
}
