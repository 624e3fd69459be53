package conformance

import (
	"math/rand/v2"
	"slices"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// tcpOf is the segment of a packet of Ethernet; nil is none.
func tcpOf(data []byte) *layers.TCP {
	p := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.DecodeOptions{NoCopy: true})
	segment, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	return segment
}

// shuffled has each packet up to 20 places from where it was. Times stay in order, as a capture has
// them.
func shuffled(packets []capturedPacket, seed uint64) []capturedPacket {
	r := rand.New(rand.NewPCG(seed, 20))
	type place struct {
		at float64
		p  capturedPacket
	}
	places := make([]place, len(packets))
	for i, p := range packets {
		places[i] = place{float64(i) + 10*r.Float64(), p}
	}
	slices.SortStableFunc(places, func(a, b place) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	out := make([]capturedPacket, len(packets))
	for i := range out {
		out[i] = places[i].p
		out[i].Timestamp = packets[i].Timestamp
	}
	return out
}

// doubled has each packet twice.
func doubled(packets []capturedPacket) (out []capturedPacket) {
	for _, p := range packets {
		out = append(out, p, p)
	}
	return out
}

// without leaves out packet i.
func without(packets []capturedPacket, i int) []capturedPacket {
	return slices.Delete(slices.Clone(packets), i, i+1)
}

// cutTo has no more than n octets of each packet, as the option -s of tcpdump does.
func cutTo(packets []capturedPacket, n int) []capturedPacket {
	out := slices.Clone(packets)
	for i := range out {
		if len(out[i].data) > n {
			out[i].data = out[i].data[:n]
			out[i].CaptureLength = n
		}
	}
	return out
}
