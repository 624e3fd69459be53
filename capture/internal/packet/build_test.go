package packet

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 678912000, time.UTC)

// u16 has numbers as they are on the wire.
func u16(n ...int) []byte {
	var b []byte
	for _, n := range n {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	return b
}

// cat puts octets together.
func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// tcp is a segment with 12 octets of options, from port 40000 to 443.
func tcp(payload string) []byte {
	return cat(
		u16(40000, 443, 0x1122, 0x3344, 0x5566, 0x7788), // ports, sequence number, acknowledgement
		u16(0x8018, 501, 0, 0),                          // header of 32 octets, PSH and ACK; window
		[]byte("\x01\x01\x08\x0a12345678"),              // NOP, NOP, Timestamps
		[]byte(payload),
	)
}

// ipv4 is a packet with 4 octets of options, in which something is.
func ipv4(protocol byte, in []byte) []byte {
	return cat(u16(0x4600, 24+len(in), 7, 0x4000), []byte{64, protocol, 0, 0},
		src4, []byte{192, 0, 2, 2}, []byte{1, 1, 1, 0}, in)
}

var (
	src4 = []byte{192, 0, 2, 1}
	src6 = []byte("\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01")
	dst6 = []byte("\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02")
)

// ipv6 is a packet in which something is, extension headers first.
func ipv6(next byte, in []byte) []byte {
	return cat(u16(0x6000, 0, len(in)), []byte{next, 64}, src6, dst6, in)
}

// ethernet is a frame of a type in which something is.
func ethernet(t int, in []byte) []byte {
	return cat([]byte("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01"), u16(t), in)
}

// pcapOf is a pcap file with packets, a millisecond apart.
func pcapOf(t testing.TB, link LinkType, packets ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	if err := w.WriteFileHeader(1<<18, link); err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		ci := gopacket.CaptureInfo{
			Timestamp: epoch.Add(time.Duration(i) * time.Millisecond), CaptureLength: len(p), Length: len(p),
		}
		if err := w.WritePacket(ci, p); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// pcapngOf is a pcapng file with packets.
func pcapngOf(t testing.TB, link LinkType, packets ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, link)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		ci := gopacket.CaptureInfo{Timestamp: epoch, CaptureLength: len(p), Length: len(p)}
		if err := w.WritePacket(ci, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ng writes pcapng files, with what pcapgo's writer cannot write.
type ng struct {
	order binary.AppendByteOrder
	file  []byte
}

// nums has 32-bit numbers in the order of the file.
func (w *ng) nums(n ...uint32) []byte {
	var b []byte
	for _, n := range n {
		b = w.order.AppendUint32(b, n)
	}
	return b
}

// block appends a block.
func (w *ng) block(kind uint32, body ...[]byte) {
	p := cat(body...)
	for len(p)%4 != 0 {
		p = append(p, 0)
	}
	n := uint32(len(p) + 12)
	w.file = cat(w.file, w.nums(kind, n), p, w.nums(n))
}

// section begins a section, with an option.
func (w *ng) section() {
	w.block(blockSection, w.nums(0x1a2b3c4d), w.order.AppendUint16(w.order.AppendUint16(nil, 1), 0),
		w.nums(0xffffffff, 0xffffffff), w.option(4, []byte("sluice")), w.nums(0))
}

// iface describes an interface.
func (w *ng) iface(link LinkType, snap uint32, options ...[]byte) {
	w.block(blockInterface, w.order.AppendUint16(w.order.AppendUint16(nil, uint16(link)), 0), w.nums(snap),
		cat(options...))
}

// option is an option, padded.
func (w *ng) option(code uint16, value []byte) []byte {
	b := cat(w.order.AppendUint16(w.order.AppendUint16(nil, code), uint16(len(value))), value)
	return append(b, make([]byte, -len(value)&3)...)
}

// packet appends an Enhanced Packet Block.
func (w *ng) packet(iface uint32, time uint64, length int, p []byte, options ...[]byte) {
	w.block(blockEnhanced, w.nums(iface, uint32(time>>32), uint32(time), uint32(len(p)), uint32(length)),
		p, make([]byte, -len(p)&3), cat(options...))
}

// read returns copies of the segments of a file, and how reading has ended.
func read(t testing.TB, file []byte) ([]Segment, Stats, error) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out []Segment
	for {
		s, err := r.Next()
		if err != nil {
			return out, r.Stats(), err
		}
		c := *s
		c.Payload = bytes.Clone(s.Payload)
		out = append(out, c)
	}
}
