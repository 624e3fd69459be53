package packet

import (
	"fmt"
	"net/netip"
	"time"
)

// A Segment is a TCP segment of a packet.
type Segment struct {
	Number   uint64 // of its packet in the file, from 1, as Wireshark counts
	Time     time.Time
	Src, Dst netip.AddrPort
	Seq, Ack uint32
	Window   uint16

	FIN, SYN, RST, ACK bool

	// Payload is valid until the next call of Next.
	Payload []byte

	// Cut is the number of octets behind Payload that were sent, but that the capture has cut off
	// (tcpdump -s).
	Cut int

	// Interface tells the interfaces of a capture apart: with several of them the same packet may
	// be there more than once.
	Interface int
}

// Options are those of a Reader.
type Options struct {
	// Secrets is called for each TLS key log of a Decryption Secrets Block, before the packets
	// behind it are returned. The octets are valid during the call only.
	Secrets func(keyLog []byte)
}

// Stats count packets, each in Packets and in one of the others.
type Stats struct {
	Packets   uint64
	Segments  uint64 // TCP segments; one of several fragments counts once
	NotIP     uint64 // ARP and the like
	NotTCP    uint64 // UDP and the like
	Fragments uint64 // parts of IP datagrams, but for those that completed one
	Malformed uint64 // headers that are cut off, or that contradict themselves
	Unknown   uint64 // packets of link types that are not supported

	// These count what is counted above already.

	Cut        uint64 // segments of which the capture has cut off octets
	Incomplete uint64 // IP datagrams of which fragments are missing
	BadBlocks  uint64 // blocks of pcapng with packets that contradict themselves; not in Packets

	// LinkTypes has the link types that are not supported, and the packets of each. All packets
	// of link types beyond the first 16 are in Unknown only.
	LinkTypes map[LinkType]uint64
}

// A TruncatedError says that a file ends within a packet, as one does that is being written, or
// whose writer was killed. All packets before that one were returned.
type TruncatedError struct {
	Packets uint64 // that are whole
	Err     error
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("the capture is cut off within the packet after number %d", e.Packets)
}

func (e *TruncatedError) Unwrap() error { return e.Err }
