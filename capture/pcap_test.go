package capture

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/sluice-go/sluice/internal/h2test"
)

// captureFile is a packet capture in the making: link type raw, IPv4, one millisecond a packet.
type captureFile struct {
	header  []byte
	packets [][]byte // with their record headers
	ms      int64
	snap    int // octets of a packet that are kept; 0: all
}

func newCaptureFile() *captureFile {
	le := binary.LittleEndian
	h := le.AppendUint32(nil, 0xa1b2c3d4)
	h = le.AppendUint32(h, 2|4<<16)
	h = append(h, make([]byte, 8)...)
	h = le.AppendUint32(h, 1<<18)
	return &captureFile{header: le.AppendUint32(h, 101), ms: 1_700_000_000_000}
}

// bytes is the file.
func (f *captureFile) bytes() []byte {
	b := f.header
	for _, p := range f.packets {
		b = append(b, p...)
	}
	return b
}

// flags of TCP.
const (
	fin, syn, rst, ack = 1, 2, 4, 16
)

// A captureConn is a TCP connection in a captureFile, of HTTP/2 where it sends items.
type captureConn struct {
	f     *captureFile
	ends  [2]netip.AddrPort // by Dir
	seq   [2]uint32
	mss   int
	codec [2]*h2test.Codec
}

// conn begins a connection with SYN.
func (f *captureFile) conn(client, server string) *captureConn {
	c := &captureConn{
		f: f, ends: [2]netip.AddrPort{netip.MustParseAddrPort(client), netip.MustParseAddrPort(server)},
		seq: [2]uint32{1000, 500000}, mss: 1448, codec: [2]*h2test.Codec{h2test.NewCodec(), h2test.NewCodec()},
	}
	c.packet(Client, syn, nil)
	c.packet(Server, syn|ack, nil)
	c.packet(Client, ack, nil)
	return c
}

// send sends items, in as many packets as they need.
func (c *captureConn) send(d Dir, items ...any) {
	c.octets(d, c.codec[d].Append(nil, items...))
}

func (c *captureConn) octets(d Dir, p []byte) {
	for len(p) > 0 {
		n := min(len(p), c.mss)
		c.packet(d, ack, p[:n])
		p = p[n:]
	}
}

// end ends both directions.
func (c *captureConn) end() {
	c.packet(Client, fin|ack, nil)
	c.packet(Server, fin|ack, nil)
	c.packet(Client, ack, nil)
}

// packet adds a packet.
func (c *captureConn) packet(d Dir, flags byte, payload []byte) {
	be := binary.BigEndian
	from, to := c.ends[d], c.ends[d.Other()]
	src, dst := from.Addr().As4(), to.Addr().As4()
	p := []byte{0x45, 0}
	p = be.AppendUint16(p, uint16(40+len(payload)))
	p = append(p, 0, 0, 0x40, 0, 64, 6, 0, 0)
	p = append(append(p, src[:]...), dst[:]...)
	p = be.AppendUint16(be.AppendUint16(p, from.Port()), to.Port())
	p = be.AppendUint32(p, c.seq[d])
	p = be.AppendUint32(p, c.seq[d.Other()])
	p = append(p, 5<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
	p = append(p, payload...)
	c.seq[d] += uint32(len(payload))
	if flags&(syn|fin) != 0 {
		c.seq[d]++
	}
	c.f.add(p)
}

// add adds a packet as it is.
func (f *captureFile) add(p []byte) {
	le := binary.LittleEndian
	f.ms++
	t := time.UnixMilli(f.ms)
	kept := p
	if f.snap > 0 && len(kept) > f.snap {
		kept = kept[:f.snap]
	}
	r := le.AppendUint32(nil, uint32(t.Unix()))
	r = le.AppendUint32(r, uint32(t.Nanosecond()/1000))
	r = le.AppendUint32(r, uint32(len(kept)))
	r = le.AppendUint32(r, uint32(len(p)))
	f.packets = append(f.packets, append(r, kept...))
}
