package packet

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The types of the blocks that are looked at (draft-ietf-opsawg-pcapng).
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockEnhanced  = 6
	blockSecrets   = 10

	secretsTLS = 0x544c534b // the type of secrets that is an NSS key log
)

const (
	// maxBlock bounds the blocks that are passed on or kept: a packet, or the secrets of 10,000
	// connections.
	maxBlock = 4 << 20

	// maxInterfaceBlock bounds the description of an interface.
	maxInterfaceBlock = 64 << 10

	// maxInterfaces bounds the interfaces of a section.
	maxInterfaces = 4096
)

// A blockFilter stands between a pcapng file and pcapgo's NgReader, which keeps secrets, names and
// comments without a bound, and hands out no secrets. The filter passes on what packets need, with
// lengths that fit each other and without options, and takes the secrets out.
type blockFilter struct {
	r       *bufio.Reader
	secrets func([]byte)
	bad     *uint64 // packets that were left out

	order  binary.ByteOrder
	ifaces int
	snap   int // length at which the first interface cuts packets; 0 is never

	head []byte // to be passed on first,
	body int    // then that many octets of r,
	tail []byte // then this; then
	skip int    // octets of r are left out

	space [12]byte // of head and tail

	truncated bool // the file ends within a block
}

// Read passes on what is there of a block, and does not wait for the next one.
func (b *blockFilter) Read(p []byte) (int, error) {
	for len(b.head)+b.body+len(b.tail) == 0 {
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.head)
	b.head = b.head[n:]
	if b.body > 0 && n < len(p) {
		m, err := b.r.Read(p[n:min(len(p), n+b.body)])
		n += m
		b.body -= m
		if err != nil {
			return n, b.within(err)
		}
	}
	if b.body == 0 {
		m := copy(p[n:], b.tail)
		b.tail = b.tail[m:]
		n += m
	}
	return n, nil
}

// within is the error of a read within a block. NgReader takes one at the beginning of a block for
// the end of the file, so that it is remembered.
func (b *blockFilter) within(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // an error of a lost source may wrap it
		b.truncated = true
		return io.ErrUnexpectedEOF
	}
	return err
}

// next goes on to the next block.
func (b *blockFilter) next() error {
	if _, err := b.r.Discard(b.skip); err != nil {
		return b.within(err)
	}
	b.skip = 0
	h, err := b.r.Peek(12) // no block is shorter
	if err != nil {
		if len(h) == 0 && err == io.EOF {
			return io.EOF
		}
		return b.within(err)
	}
	if binary.BigEndian.Uint32(h) == blockSection {
		if err := b.section(h[8:]); err != nil {
			return err
		}
	} else if b.order == nil {
		return errors.New("blocks before the first section")
	}
	kind, length := b.order.Uint32(h), b.order.Uint32(h[4:])
	if length < 12 || length%4 != 0 || length > 1<<30 {
		return fmt.Errorf("a block of type %d has the length %d", kind, length)
	}
	return b.block(kind, int(length))
}

// section begins a section, whose order of octets is that of magic.
func (b *blockFilter) section(magic []byte) error {
	const want = 0x1a2b3c4d
	switch {
	case binary.LittleEndian.Uint32(magic) == want:
		b.order = binary.LittleEndian
	case binary.BigEndian.Uint32(magic) == want:
		b.order = binary.BigEndian
	default:
		return fmt.Errorf("a section whose order of octets is % x", magic)
	}
	b.ifaces, b.snap = 0, 0
	return nil
}

// block looks at a block of length octets.
func (b *blockFilter) block(kind uint32, length int) error {
	switch kind {
	case blockSection:
		return b.fixed(kind, length, 16)
	case blockInterface:
		return b.iface(length)
	case blockEnhanced, blockPacket:
		return b.packet(kind, length)
	case blockSimple:
		return b.simple(length)
	case blockSecrets:
		return b.take(length)
	}
	b.skip = length
	return nil
}

// fixed passes on n octets of a block's body, which has at least as many.
func (b *blockFilter) fixed(kind uint32, length, n int) error {
	if length < n+12 {
		return fmt.Errorf("a block of type %d has %d octets only", kind, length)
	}
	if n > maxBlock {
		return fmt.Errorf("a block of type %d has %d octets", kind, length)
	}
	if _, err := b.r.Discard(8); err != nil {
		return b.within(err)
	}
	b.order.PutUint32(b.space[:], kind)
	b.order.PutUint32(b.space[4:], uint32(n+12))
	b.order.PutUint32(b.space[8:], uint32(n+12))
	b.head, b.body, b.tail = b.space[:8], n, b.space[8:]
	b.skip = length - 8 - n
	return nil
}

// leaveOut counts a block whose packet is not to be had.
func (b *blockFilter) leaveOut(length int) error {
	*b.bad++
	b.skip = length
	return nil
}

// iface passes on an Interface Description Block, with its options where they are in order.
func (b *blockFilter) iface(length int) error {
	if length < 20 || length > maxInterfaceBlock {
		return fmt.Errorf("the description of an interface has %d octets", length)
	}
	if b.ifaces++; b.ifaces > maxInterfaces {
		return fmt.Errorf("a section has more than %d interfaces", maxInterfaces)
	}
	h, err := b.r.Peek(length)
	if err != nil {
		return b.within(err)
	}
	if b.ifaces == 1 {
		b.snap = int(min(b.order.Uint32(h[12:]), 1<<30))
	}
	keep := 8
	if b.optionsFit(h[16 : length-4]) {
		keep = length - 12
	}
	return b.fixed(blockInterface, length, keep)
}

// optionsFit reports whether options end where their block does, or before, with their end marked.
func (b *blockFilter) optionsFit(o []byte) bool {
	for len(o) >= 4 {
		code, n := b.order.Uint16(o), int(b.order.Uint16(o[2:]))
		if code == 0 {
			return n == 0
		}
		n = 4 + (n+3)&^3
		if n > len(o) {
			return false
		}
		o = o[n:]
	}
	return len(o) == 0
}

// packet passes on an Enhanced Packet Block, or an obsolete Packet Block, without options.
func (b *blockFilter) packet(kind uint32, length int) error {
	if length < 32 {
		return b.leaveOut(length)
	}
	h, err := b.r.Peek(28)
	if err != nil {
		return b.within(err)
	}
	iface := b.order.Uint32(h[8:])
	if kind == blockPacket {
		iface = uint32(b.order.Uint16(h[8:]))
	}
	captured := b.order.Uint32(h[20:])
	if iface >= uint32(b.ifaces) || captured > uint32(length-32) || captured > maxPacket {
		return b.leaveOut(length)
	}
	return b.fixed(kind, length, 20+(int(captured)+3)&^3)
}

// simple passes on a Simple Packet Block. How much of the packet was captured is known from the
// interface.
func (b *blockFilter) simple(length int) error {
	if length < 16 {
		return b.leaveOut(length)
	}
	h, err := b.r.Peek(12)
	if err != nil {
		return b.within(err)
	}
	captured := b.order.Uint32(h[8:])
	if b.snap != 0 {
		captured = min(captured, uint32(b.snap))
	}
	if b.ifaces == 0 || captured > uint32(length-16) || captured > maxPacket {
		return b.leaveOut(length)
	}
	return b.fixed(blockSimple, length, 4+(int(captured)+3)&^3)
}

// take hands out the secrets of a Decryption Secrets Block.
func (b *blockFilter) take(length int) error {
	if length < 20 || length > maxBlock || b.secrets == nil {
		b.skip = length
		return nil
	}
	block := make([]byte, length)
	if _, err := io.ReadFull(b.r, block); err != nil {
		return b.within(err)
	}
	n := b.order.Uint32(block[12:])
	if b.order.Uint32(block[8:]) == secretsTLS && n <= uint32(length-20) {
		b.secrets(block[16 : 16+n])
	}
	return nil
}
