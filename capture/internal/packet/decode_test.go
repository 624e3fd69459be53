package packet

import (
	"errors"
	"io"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gopacket/gopacket/layers"
)

const hello = "PRI * HTTP/2.0"

// want is the segment that tcp makes.
func want(v6 bool) Segment {
	s := Segment{
		Number: 1, Time: epoch, Seq: 0x11223344, Ack: 0x55667788, Window: 501, ACK: true, Payload: []byte(hello),
		Src: netip.MustParseAddrPort("192.0.2.1:40000"), Dst: netip.MustParseAddrPort("192.0.2.2:443"),
	}
	if v6 {
		s.Src = netip.MustParseAddrPort("[2001:db8::1]:40000")
		s.Dst = netip.MustParseAddrPort("[2001:db8::2]:443")
	}
	return s
}

// diff compares segments.
func diff(want, got any) string {
	return cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty())
}

// linkTest is a packet with the segment of tcp.
type linkTest struct {
	name   string
	link   LinkType
	packet []byte
	v6     bool
}

// geneve is a tunnel of IPv6, with an option.
func geneve(p []byte) []byte {
	return ipv6(17, cat(u16(50000, 6081, 8+8+4+len(p), 0, 0x0100, 0x86dd, 0, 0x0700, 0, 0), p))
}

// nflog is a packet behind two other attributes.
func nflog(p []byte) []byte {
	return cat([]byte{2, 0, 0, 0}, []byte{8, 0, 1, 0, 8, 0, 0, 0}, []byte{5, 0, 10, 0, 0, 0, 0, 0},
		[]byte{byte(4 + len(p)), 0, 9, 0}, p)
}

// pktap is a header of Darwin's.
func pktap(link byte) []byte {
	return cat([]byte{108, 0, 0, 0, 1, 0, 0, 0, link, 0, 0, 0}, make([]byte, 96))
}

// linkTests have a packet of each link type, tunnel and extension header.
func linkTests() []linkTest {
	v4, v6 := ipv4(6, tcp(hello)), ipv6(6, tcp(hello))
	padding := make([]byte, 10)
	sll := func(t int) []byte { return cat(u16(0, 1, 6, 2, 0, 0, 1, t)) }
	sll2 := func(t int) []byte { return cat(u16(t, 0, 0, 9, 1, 0x0006, 0, 0, 0, 0)) }
	gre := cat(u16(0xb000, 0x0800, 0, 0, 0, 9, 0, 1), v4)
	vxlan := cat(u16(50000, 4789, 8+8+14+len(v4), 0, 0x0800, 0, 0, 0x0700), ethernet(0x0800, v4))
	return []linkTest{
		{"Ethernet, padded", layers.LinkTypeEthernet, ethernet(0x0800, cat(v4, padding)), false},
		{"Ethernet, IPv6, padded", layers.LinkTypeEthernet, ethernet(0x86dd, cat(v6, padding)), true},
		{"802.1Q", layers.LinkTypeEthernet, ethernet(0x8100, cat(u16(5, 0x0800), v4)), false},
		{"802.1ad", layers.LinkTypeEthernet, ethernet(0x88a8, cat(u16(5, 0x8100, 6, 0x86dd), v6)), true},
		{"old QinQ", layers.LinkTypeEthernet, ethernet(0x9100, cat(u16(5, 0x8100, 6, 0x0800), v4)), false},
		{"MPLS", layers.LinkTypeEthernet, ethernet(0x8847, cat(u16(1, 0x0040, 2, 0x0140), v4)), false},
		{
			"PPPoE", layers.LinkTypeEthernet,
			ethernet(0x8864, cat(u16(0x1100, 1, 2+len(v4), 0x0021), v4, padding)), false,
		},
		{"PPP", layers.LinkTypePPP, cat(u16(0xff03, 0x0057), v6), true},
		{"PPP, compressed", layers.LinkTypePPP, cat([]byte{0x21}, v4), false},
		{"NULL, little endian", layers.LinkTypeNull, cat([]byte{2, 0, 0, 0}, v4), false},
		{"NULL, big endian", layers.LinkTypeNull, cat([]byte{0, 0, 0, 30}, v6), true},
		{"LOOP", layers.LinkTypeLoop, cat([]byte{0, 0, 0, 24}, v6), true},
		{"RAW", layers.LinkTypeRaw, v4, false},
		{"RAW, IPv6", layers.LinkTypeRaw, v6, true},
		{"RAW of BSD", 12, v4, false},
		{"RAW of OpenBSD", 14, v6, true},
		{"IPv4", layers.LinkTypeIPv4, v4, false},
		{"IPv6", layers.LinkTypeIPv6, v6, true},
		{"cooked", layers.LinkTypeLinuxSLL, cat(sll(0x0800), v4), false},
		{"cooked, VLAN", layers.LinkTypeLinuxSLL, cat(sll(0x8100), u16(5, 0x86dd), v6), true},
		{"cooked, version 2", layers.LinkTypeLinuxSLL2, cat(sll2(0x0800), v4), false},
		{"IP in IP", layers.LinkTypeRaw, ipv4(4, v4), false},
		{"IPv6 in IPv4", layers.LinkTypeRaw, ipv4(41, v6), true},
		{"GRE", layers.LinkTypeRaw, ipv6(47, gre), false},
		{"VXLAN", layers.LinkTypeRaw, ipv6(17, vxlan), false},
		{"Geneve", layers.LinkTypeRaw, geneve(v6), true},
		{"netfilter log", linkNFLog, nflog(v4), false},
		{"PKTAP of Ethernet", linkPKTAP, cat(pktap(1), ethernet(0x0800, v4)), false},
		{"PKTAP of loopback", linkPKTAP, cat(pktap(0), []byte{30, 0, 0, 0}, v6), true},
		{
			"extension headers", layers.LinkTypeRaw, ipv6(0, cat(
				[]byte{60, 0, 1, 4, 0, 0, 0, 0}, []byte{43, 0, 1, 4, 0, 0, 0, 0}, // Hop-by-Hop, Destination
				[]byte{51, 1, 0, 0, 0, 0, 0, 0}, make([]byte, 8), // Routing
				[]byte{44, 1, 0, 0, 0, 0, 0, 0}, make([]byte, 4), // Authentication
				[]byte{6, 0, 0, 0, 0, 0, 0, 1}, tcp(hello), // an atomic fragment
			)), true,
		},
	}
}

func TestLinks(t *testing.T) {
	for _, test := range linkTests() {
		t.Run(test.name, func(t *testing.T) {
			segs, stats, err := read(t, pcapOf(t, test.link, test.packet))
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			w := want(test.v6)
			if test.link == layers.LinkTypeLinuxSLL2 {
				w.Interface = 9
			}
			if d := diff([]Segment{w}, segs); d != "" {
				t.Errorf("-want +got\n%s\n%+v", d, stats)
			}
			if d := cmp.Diff(Stats{Packets: 1, Segments: 1}, stats); d != "" {
				t.Errorf("counted: -want +got\n%s", d)
			}
		})
	}
}
