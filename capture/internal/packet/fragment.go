package packet

const (
	// maxDatagrams bounds the IP datagrams of which fragments are kept, each of up to 64 KiB.
	maxDatagrams = 64

	maxDatagram  = 1 << 16
	fragmentUnit = 8 // offsets of fragments are multiples of it
)

// datagram is what fragments of one datagram have in common (RFC 791 §3.2, RFC 8200 §4.5).
type datagram struct {
	addrs
	id       uint32
	protocol byte
}

// A fragment is a part of a datagram.
type fragment struct {
	at   int  // its offset
	more bool // it is not the last one
	data view
}

// partial is a datagram of which fragments are kept.
type partial struct {
	key  datagram
	buf  []byte
	seen [maxDatagram / fragmentUnit / 64]uint64 // a bit for each unit that has arrived
	end  int                                     // length, or -1
	cut  int                                     // octets from here on are not all captured
}

// fragments puts IP datagrams together. The first copy of an octet counts.
type fragments struct {
	parts []*partial // oldest first
}

// fragment keeps a fragment, and goes on with the datagram that it completes.
func (d *decoder) fragment(key datagram, f fragment, s *Segment) bool {
	n := f.data.wire
	if n == 0 || f.at+n > maxDatagram || f.more && n%fragmentUnit != 0 {
		return d.malformed()
	}
	p := d.frags.find(key)
	if p == nil {
		p = &partial{key: key, end: -1, cut: maxDatagram}
		if len(d.frags.parts) == maxDatagrams {
			d.stats.Incomplete++
			d.frags.remove(d.frags.parts[0])
		}
		d.frags.parts = append(d.frags.parts, p)
	}
	if !p.add(f) {
		return d.malformed()
	}
	if !p.whole() {
		d.stats.Fragments++
		return false
	}
	d.frags.remove(p)
	data := view{p.buf[:min(p.cut, p.end, len(p.buf))], p.end}
	return d.above(key.protocol, key.addrs, data, s)
}

// find returns the datagram with a key, or nil.
func (f *fragments) find(key datagram) *partial {
	for _, p := range f.parts {
		if p.key == key {
			return p
		}
	}
	return nil
}

// remove forgets a datagram.
func (f *fragments) remove(p *partial) {
	for i := range f.parts {
		if f.parts[i] == p {
			f.parts = append(f.parts[:i], f.parts[i+1:]...)
			return
		}
	}
}

// add copies a fragment. It reports whether the fragment is within the end of the datagram.
func (p *partial) add(f fragment) bool {
	end := f.at + f.data.wire
	if !f.more {
		if p.end >= 0 && p.end != end || len(p.buf) > end {
			return false
		}
		p.end = end
	}
	if p.end >= 0 && end > p.end {
		return false
	}
	if len(p.buf) < end {
		p.buf = append(p.buf, make([]byte, end-len(p.buf))...)
	}
	if n := len(f.data.p); n < f.data.wire {
		p.cut = min(p.cut, f.at+n)
	}
	for at := f.at; at < end; at += fragmentUnit {
		unit := at / fragmentUnit
		if bit := uint64(1) << (unit % 64); p.seen[unit/64]&bit == 0 {
			p.seen[unit/64] |= bit
			if rel := at - f.at; rel < len(f.data.p) {
				copy(p.buf[at:min(at+fragmentUnit, end)], f.data.p[rel:])
			}
		}
	}
	return true
}

// whole reports whether all fragments have arrived.
func (p *partial) whole() bool {
	if p.end < 0 {
		return false
	}
	for unit := range (p.end + fragmentUnit - 1) / fragmentUnit {
		if p.seen[unit/64]>>(unit%64)&1 == 0 {
			return false
		}
	}
	return true
}
