package capture

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// maxSegmentOctets is how many octets a packet carries at most, and the socket is given at a time.
const maxSegmentOctets = 32 << 10

// A pcapFlow is a connection in the file of a PcapWriter, with whose lock it is guarded.
type pcapFlow struct {
	w     *PcapWriter
	addrs [2]netip.AddrPort // by side
	next  [2]uint32         // sequence numbers of what the side sends next
	again [2]int            // octets that are sent once more, which scan has seen
	ended [2]bool           // FIN or RST of the side is recorded
	scan  tlsScan
	keys  *loggedKeys // nil without TLS

	random  clientRandom
	holding bool // packets wait for keys
	held    []heldPacket
	octets  int // of the packets in held
}

// heldPacket is a packet that waits for keys.
type heldPacket struct {
	time   time.Time
	packet []byte
}

// tcpFlags are those of a packet; ACK is set in all but the first.
type tcpFlags struct{ syn, fin, rst, push bool }

// newFlow records the beginning of a connection, which was asked for at one time and there at
// another.
func (w *PcapWriter) newFlow(client, server netip.AddrPort, asked, there time.Time) *pcapFlow {
	f := &pcapFlow{w: w, next: [2]uint32{rand.Uint32(), rand.Uint32()}}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !client.IsValid() || !server.IsValid() { // addresses for documentation (RFC 5737)
		w.mu.unnamed++
		client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 1024+w.mu.unnamed%60_000)
		server = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 2}), 443)
	}
	f.addrs = [2]netip.AddrPort{client, server}
	f.packetLocked(Client, asked, tcpFlags{syn: true}, nil)
	f.packetLocked(Server, there, tcpFlags{syn: true}, nil)
	f.packetLocked(Client, there, tcpFlags{}, nil)
	return f
}

// record records octets of a side.
func (f *pcapFlow) record(d Dir, t time.Time, p []byte) {
	if f.w.over.Load() {
		return
	}
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	for len(p) > 0 && !f.ended[d] {
		n := min(len(p), maxSegmentOctets)
		f.lookLocked(d, p[:n])
		f.packetLocked(d, t, tcpFlags{push: n == len(p)}, p[:n])
		p = p[n:]
	}
}

// unsent says that the last n octets of a side were not sent after all. What the side then sends
// stands in the file as octets that are sent again.
func (f *pcapFlow) unsent(d Dir, n int) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	if !f.ended[d] {
		f.next[d] -= uint32(n)
		f.again[d] += n
	}
}

// end records that a side has sent FIN, or RST. With last set nothing follows.
func (f *pcapFlow) end(d Dir, t time.Time, reset, last bool) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	if !f.ended[d] {
		f.ended[d] = true
		f.packetLocked(d, t, tcpFlags{fin: !reset, rst: reset}, nil)
	}
	if last { // a Read may still return something
		f.releaseLocked()
		f.forgetKeysLocked()
		f.scan.done = true
	}
}

// lookLocked looks for what needs keys.
func (f *pcapFlow) lookLocked(d Dir, p []byte) {
	seen := min(f.again[d], len(p))
	f.again[d] -= seen
	p = p[seen:]
	if f.scan.done || len(p) == 0 {
		return
	}
	if !f.scan.started {
		random, found := f.scan.hello(d, p)
		if !found {
			return
		}
		f.awaitKeysLocked(random)
	}
	needs := f.scan.needsKeys(d, p)
	f.sessionLocked()
	if needs && !f.scan.resumed && f.w.mu.awaitsKeys && !f.keys.complete() {
		f.holding = true
	}
	f.scan.done = f.scan.done || f.scan.data && !f.holding
}

// awaitKeysLocked says which keys are those of the connection.
func (f *pcapFlow) awaitKeysLocked(random clientRandom) {
	k := f.w.mu.keys[random]
	if k == nil {
		k = &loggedKeys{}
		f.w.mu.keys[random] = k
	}
	k.flows = append(k.flows, f)
	f.keys, f.random = k, random
}

// forgetKeysLocked is called at the end.
func (f *pcapFlow) forgetKeysLocked() {
	k := f.keys
	if k == nil {
		return
	}
	f.keys = nil
	k.flows = slices.DeleteFunc(k.flows, func(other *pcapFlow) bool { return other == f })
	if len(k.flows) == 0 {
		delete(f.w.mu.keys, f.random)
	}
}

// releaseLocked records the packets that wait for keys.
func (f *pcapFlow) releaseLocked() {
	if !f.holding {
		return
	}
	for _, h := range f.held {
		f.w.writeLocked(h.time, h.packet)
	}
	f.w.mu.held -= f.octets
	f.held, f.octets, f.holding = nil, 0, false
	f.scan.done = f.scan.done || !f.keys.complete() // they do not come
}

// packetLocked records a packet of a side.
func (f *pcapFlow) packetLocked(d Dir, t time.Time, flags tcpFlags, payload []byte) {
	if f.w.over.Load() {
		return
	}
	packet := f.appendPacketLocked(d, flags, payload)
	f.next[d] += uint32(len(payload))
	if flags.syn || flags.fin {
		f.next[d]++
	}
	if f.holding && f.heldTooMuchLocked(t, len(packet)) {
		f.releaseLocked()
	}
	if !f.holding {
		f.w.writeLocked(t, packet)
		return
	}
	f.held = append(f.held, heldPacket{t, slices.Clone(packet)})
	f.octets += len(packet)
	f.w.mu.held += len(packet)
}

// heldTooMuchLocked reports whether a packet that comes must not wait with the others.
func (f *pcapFlow) heldTooMuchLocked(t time.Time, size int) bool {
	return f.octets+size > maxHeldOctets || f.w.mu.held+size > maxAllHeldOctets ||
		len(f.held) > 0 && t.Sub(f.held[0].time) > maxHeldTime
}

// appendPacketLocked returns a packet, which is valid until the next one.
func (f *pcapFlow) appendPacketLocked(d Dir, flags tcpFlags, payload []byte) []byte {
	from, to := f.addrs[d], f.addrs[d.Other()]
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(from.Port()), DstPort: layers.TCPPort(to.Port()),
		Seq: f.next[d], Ack: f.next[d.Other()], Window: 1<<16 - 1,
		SYN: flags.syn, FIN: flags.fin, RST: flags.rst, PSH: flags.push, ACK: !flags.syn || d == Server,
	}
	if !tcp.ACK {
		tcp.Ack = 0
	}
	if flags.syn { // acknowledgements are not recorded: the window is as large as it can be (RFC 7323 §2)
		scale := layers.TCPOption{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{14}}
		tcp.Options = []layers.TCPOption{scale}
	}
	var ip gopacket.SerializableLayer
	if from.Addr().Is4() && to.Addr().Is4() {
		v4 := &layers.IPv4{
			Version: 4, TTL: 64, Flags: layers.IPv4DontFragment, Protocol: layers.IPProtocolTCP,
			SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice(),
		}
		ip, _ = v4, tcp.SetNetworkLayerForChecksum(v4) // it fails for other layers only
	} else {
		src, dst := from.Addr().As16(), to.Addr().As16()
		v6 := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: src[:], DstIP: dst[:]}
		ip, _ = v6, tcp.SetNetworkLayerForChecksum(v6)
	}
	err := gopacket.SerializeLayers(f.w.mu.packet, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		ip, tcp, gopacket.Payload(payload))
	if err != nil {
		panic("BUG: a packet cannot be made: " + err.Error())
	}
	return f.w.mu.packet.Bytes()
}
