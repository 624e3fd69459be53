package packet

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"
)

// notSegment is what an Ethernet frame of a type has that is no TCP segment, and how it is counted.
type notSegment struct {
	name string
	t    int
	in   []byte
	want Stats
}

var (
	malformed = Stats{Malformed: 1}
	notIP     = Stats{NotIP: 1}
	notTCP    = Stats{NotTCP: 1}
	fragment1 = Stats{Fragments: 1}
)

// change sets an octet of a packet.
func change(p []byte, at int, to byte) []byte {
	p[at] = to
	return p
}

// notSegmentsOfLinks have tunnels, and headers before IP.
func notSegmentsOfLinks() []notSegment {
	v4 := ipv4(6, tcp(hello))
	var tags []int
	for range 100 {
		tags = append(tags, 5, 0x8100)
	}
	many := ipv4(6, tcp(hello))
	for range 20 {
		many = ipv4(4, many)
	}
	return []notSegment{
		{"ARP", 0x0806, make([]byte, 28), notIP},
		{"802.3", 40, make([]byte, 40), notIP},
		{"UDP", 0x0800, ipv4(17, u16(5000, 53, 8, 0)), notTCP},
		{"UDP, no VXLAN", 0x0800, ipv4(17, u16(5000, 4789, 16, 0, 0, 0, 0, 0)), notTCP},
		{"Geneve, version 1", 0x0800, ipv4(17, u16(5000, 6081, 16, 0, 0x4000, 0x0800, 0, 0)), notTCP},
		{"Geneve, options cut off", 0x0800, ipv4(17, u16(5000, 6081, 16, 0, 0x3f00, 0x0800, 0, 0)), notTCP},
		{"ICMPv6", 0x86dd, ipv6(58, u16(1, 2, 3, 4)), notTCP},
		{"no next header", 0x86dd, ipv6(59, nil), notTCP},
		{"GRE, version 1", 0x0800, ipv4(47, u16(0x0001, 0x0800, 0, 0)), notTCP},
		{"GRE, cut off", 0x0800, ipv4(47, u16(0x8000, 0x0800)), malformed},
		{"PPPoE discovery", 0x8864, cat(u16(0x1109, 0, 4, 0, 0)), notIP},
		{"PPPoE, cut off", 0x8864, u16(0x1100), malformed},
		{"LCP", 0x8864, cat(u16(0x1100, 0, 4, 0xc021, 0)), notIP},
		{"PPP without a protocol", 0x8864, u16(0x1100, 0, 0), malformed},
		{"VLAN, cut off", 0x8100, []byte{0, 1}, malformed},
		{"100 VLAN tags", 0x8100, cat(u16(tags...), v4), malformed},
		{"20 tunnels", 0x0800, many, malformed},
		{"MPLS without an end", 0x8847, make([]byte, 12), malformed},
	}
}

// notSegmentsOfIP have headers of IP and TCP.
func notSegmentsOfIP() []notSegment {
	v4 := func() []byte { return ipv4(6, tcp(hello)) }
	v6 := func() []byte { return ipv6(6, tcp(hello)) }
	return []notSegment{
		{"no octets of IP", 0x0800, nil, malformed},
		{"IP of version 5", 0x0800, change(v4(), 0, 0x56), malformed},
		{"IPv4, cut off", 0x0800, v4()[:19], malformed},
		{"IPv4, header of 16", 0x0800, change(v4(), 0, 0x44), malformed},
		{"IPv4, shorter than its header", 0x0800, change(v4(), 3, 20), malformed},
		{"IPv4, options cut off", 0x0800, v4()[:22], malformed},
		{"IPv6, cut off", 0x86dd, v6()[:39], malformed},
		{"IPv6, extension cut off", 0x86dd, ipv6(60, []byte{6}), malformed},
		{"IPv6, extension too long", 0x86dd, ipv6(60, []byte{6, 9, 0, 0, 0, 0, 0, 0}), malformed},
		{"IPv6, fragment cut off", 0x86dd, ipv6(44, []byte{6, 0, 0, 1}), malformed},
		{"IPv6, fragments within", 0x86dd, ipv6(44, nested(20)), malformed},
		{"TCP, cut off", 0x0800, ipv4(6, tcp(hello)[:15]), malformed},
		{"TCP, header of 16", 0x0800, ipv4(6, change(tcp(hello), 12, 0x40)), malformed},
		{"TCP, header too long", 0x0800, ipv4(6, change(tcp("")[:32], 12, 0xf0)), malformed},
		{"a fragment", 0x0800, fragments4(9, tcp(hello), 32)[0], fragment1},
		{"a fragment of nothing", 0x0800, change(ipv4(6, nil), 6, 0x20), malformed},
		{"a fragment of 3 octets", 0x0800, change(ipv4(6, []byte("abc")), 6, 0x20), malformed},
		{"a fragment far away", 0x0800, change(change(ipv4(6, tcp(hello)), 6, 0x1f), 7, 0xff), malformed},
	}
}

// TestNotASegment has packets that are counted, each between two that are read.
func TestNotASegment(t *testing.T) {
	for _, test := range append(notSegmentsOfLinks(), notSegmentsOfIP()...) {
		t.Run(test.name, func(t *testing.T) {
			good := ethernet(0x0800, ipv4(6, tcp(hello)))
			segs, stats, err := read(t, pcapOf(t, layers.LinkTypeEthernet, good, ethernet(test.t, test.in), good))
			if len(segs) != 2 || segs[1].Number != 3 {
				t.Errorf("%d segments: %v", len(segs), err)
			}
			test.want.Packets, test.want.Segments = 3, 2
			if d := cmp.Diff(test.want, stats); d != "" {
				t.Errorf("counted: -want +got\n%s", d)
			}
		})
	}
}

// TestBadLinks has headers of link types that contradict themselves.
func TestBadLinks(t *testing.T) {
	for _, test := range []struct {
		name   string
		link   LinkType
		packet []byte
		want   Stats
	}{
		{"NULL, cut off", layers.LinkTypeNull, []byte{2, 0, 0}, Stats{Malformed: 1}},
		{"NULL, AppleTalk", layers.LinkTypeNull, []byte{16, 0, 0, 0}, Stats{NotIP: 1}},
		{"cooked, cut off", layers.LinkTypeLinuxSLL, make([]byte, 15), Stats{Malformed: 1}},
		{"cooked, version 2, cut off", layers.LinkTypeLinuxSLL2, make([]byte, 19), Stats{Malformed: 1}},
		{"netfilter log, cut off", linkNFLog, []byte{2, 0, 0}, Stats{Malformed: 1}},
		{"netfilter log, no packet", linkNFLog, []byte{2, 0, 0, 0, 8, 0, 1, 0, 8, 0, 0, 0}, Stats{Malformed: 1}},
		{"netfilter log, length 0", linkNFLog, []byte{2, 0, 0, 0, 0, 0, 1, 0, 8, 0, 0, 0}, Stats{Malformed: 1}},
		{"PKTAP, cut off", linkPKTAP, []byte{108, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, Stats{Malformed: 1}},
		{"PKTAP, too short", linkPKTAP, []byte{8, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, Stats{Malformed: 1}},
		{
			"PKTAP of another one", linkPKTAP,
			[]byte{12, 0, 0, 0, 1, 0, 0, 0, 220, 0, 0, 0},
			Stats{Unknown: 1, LinkTypes: map[LinkType]uint64{layers.LinkTypeLinuxUSB: 1}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, stats, err := read(t, pcapOf(t, test.link, test.packet))
			test.want.Packets = 1
			if d := cmp.Diff(test.want, stats); d != "" {
				t.Errorf("%v, counted: -want +got\n%s", err, d)
			}
		})
	}
}

// nested has atomic fragments in each other.
func nested(n int) []byte {
	var b []byte
	for range n {
		b = append(b, 44, 0, 0, 0, 0, 0, 0, 1)
	}
	return b
}

// TestCutOff cuts a packet at each octet, as tcpdump -s does.
func TestCutOff(t *testing.T) {
	full := ethernet(0x0800, ipv4(6, tcp(hello)))
	headers := len(full) - len(hello)
	for n := range len(full) {
		d, stats := decoder{}, Stats{}
		d.stats = &stats
		var s Segment
		ok := d.decode(record{data: full[:n], length: len(full), link: layers.LinkTypeEthernet}, &s)
		switch {
		case n < headers-16: // 32 octets of TCP, of which 16 are needed
			if ok || stats.Malformed != 1 {
				t.Errorf("%d octets: %v, %+v", n, ok, stats)
			}
		case !ok || len(s.Payload) != max(n-headers, 0) || len(s.Payload)+s.Cut != len(hello):
			t.Errorf("%d octets: %v, %d octets, %d cut", n, ok, len(s.Payload), s.Cut)
		}
	}
}
