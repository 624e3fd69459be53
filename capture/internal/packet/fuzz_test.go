package packet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/gopacket/gopacket/layers"
)

// FuzzReader reads any file: each packet is counted once, segments lie within their packets, and
// reading ends.
func FuzzReader(f *testing.F) {
	for _, order := range orders {
		f.Add(everything(order))
		f.Add(pcap(order, true, uint32(layers.LinkTypeRaw), 1<<18, 100, ipv4(6, tcp(hello))))
	}
	f.Add(pcapOf(f, layers.LinkTypeRaw, fragments6(1, tcp(hello), 32)...))
	f.Add(pcapOf(f, layers.LinkTypeEthernet, ethernet(0x8100, cat(u16(5, 0x0800), ipv4(4, ipv4(6, tcp(hello)))))))
	f.Add(append(everything(binary.LittleEndian), everything(binary.BigEndian)...))
	f.Fuzz(func(t *testing.T, file []byte) {
		secrets := 0
		r, err := NewReader(bytes.NewReader(file), Options{Secrets: func(p []byte) { secrets += len(p) }})
		if err != nil {
			return
		}
		segments := uint64(0)
		for err == nil {
			var s *Segment
			if s, err = r.Next(); err != nil {
				break
			}
			segments++
			if s.Cut < 0 || len(s.Payload) > maxPacket || !s.Src.IsValid() || !s.Dst.IsValid() {
				t.Fatalf("%+v", s)
			}
		}
		var truncated *TruncatedError
		if errors.As(err, &truncated) && truncated.Packets != r.Stats().Packets {
			t.Errorf("%+v", truncated)
		}
		s := r.Stats()
		sum := s.Segments + s.NotIP + s.NotTCP + s.Fragments + s.Malformed + s.Unknown
		if sum != s.Packets || s.Segments != segments {
			t.Errorf("%d segments returned, %+v", segments, s)
		}
		if file[0] != 0x1f && secrets > len(file) {
			t.Errorf("%d octets of secrets in %d", secrets, len(file))
		}
	})
}

// FuzzDecode decodes packets of all link types, of which the end may be cut off: what is returned
// lies within the packet.
func FuzzDecode(f *testing.F) {
	f.Add(uint16(1), uint16(0), ethernet(0x8100, cat(u16(5, 0x0800), ipv4(4, ipv4(6, tcp(hello))))))
	f.Add(uint16(113), uint16(9), cat(make([]byte, 14), u16(0x86dd), ipv6(44, nested(2))))
	f.Add(uint16(276), uint16(9), cat(u16(0x86dd), make([]byte, 18), fragments6(1, tcp(hello), 32)[1]))
	gre := cat(u16(0xb000, 0x0800, 0, 0, 0, 9, 0, 1), ipv4(6, tcp(hello)))
	f.Add(uint16(9), uint16(0), cat(u16(0xff03, 0x57), ipv6(47, gre)))
	f.Fuzz(func(t *testing.T, link, cut uint16, p []byte) {
		stats := Stats{}
		d := decoder{stats: &stats}
		for range 2 { // the second one may complete a datagram
			var s Segment
			ok := d.decode(record{data: p, length: len(p) + int(cut), link: LinkType(link)}, &s)
			if ok && (len(s.Payload) > len(p) || s.Cut < 0 || !s.Src.IsValid()) || !ok && s.Payload != nil {
				t.Fatalf("%v, %+v", ok, s)
			}
		}
		if n := stats.NotIP + stats.NotTCP + stats.Fragments + stats.Malformed + stats.Unknown; n > 2 {
			t.Errorf("%+v", stats)
		}
	})
}
