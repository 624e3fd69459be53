package packet

const (
	// maxDatagrams bounds the IP datagrams of which fragments are kept, each of up to 64 KiB.
	maxDatagrams = 64

	maxDatagram  = 1 << 16
	fragmentUnit = 8 // offsets of fragments are multiples of it
	chunkSize    = 4 << 10
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

// partial is a datagram of which fragments are kept. Its memory grows with what was captured of
// them, wherever that is in the datagram, and not with the lengths that they claim.
type partial struct {
	key    datagram
	chunks [maxDatagram / chunkSize]*[chunkSize]byte // nil where nothing of a chunk was captured
	seen   [maxDatagram / fragmentUnit / 64]uint64   // a bit for each unit that has arrived
	high   int                                       // the highest end of a fragment
	end    int                                       // length, or -1
	cut    int                                       // octets from here on are not all captured
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
	return d.above(key.protocol, key.addrs, view{p.octets(), p.end}, s)
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
		if p.end >= 0 && p.end != end || p.high > end {
			return false
		}
		p.end = end
	}
	if p.end >= 0 && end > p.end {
		return false
	}
	p.high = max(p.high, end)
	if n := len(f.data.p); n < f.data.wire {
		p.cut = min(p.cut, f.at+n)
	}
	at := f.at
	for data := f.data.p; len(data) > 0; at += fragmentUnit {
		n := min(fragmentUnit, len(data))
		unit := at / fragmentUnit
		if bit := uint64(1) << (unit % 64); p.seen[unit/64]&bit == 0 {
			p.seen[unit/64] |= bit
			p.put(at, data[:n])
		}
		data = data[n:]
	}
	p.mark(at/fragmentUnit, units(end))
	return true
}

// put keeps octets of one unit.
func (p *partial) put(at int, octets []byte) {
	chunk := &p.chunks[at/chunkSize]
	if *chunk == nil {
		*chunk = new([chunkSize]byte)
	}
	copy((*chunk)[at%chunkSize:], octets)
}

// units is the number of units that n octets take.
func units(n int) int { return (n + fragmentUnit - 1) / fragmentUnit }

// mark notes that the units from one to before another have arrived, up to 64 of them at once.
func (p *partial) mark(from, to int) {
	for from < to {
		n := min(64-from%64, to-from)
		p.seen[from/64] |= ^uint64(0) >> (64 - n) << (from % 64)
		from += n
	}
}

// whole reports whether all fragments have arrived.
func (p *partial) whole() bool {
	if p.end < 0 {
		return false
	}
	n := units(p.end)
	for _, word := range p.seen[:n/64] {
		if word != ^uint64(0) {
			return false
		}
	}
	rest := uint64(1)<<(n%64) - 1
	return rest == 0 || p.seen[n/64]&rest == rest
}

// octets returns the front of a whole datagram, up to the first octet that was not captured.
func (p *partial) octets() []byte {
	n := min(p.cut, p.end)
	out := make([]byte, 0, n)
	for i := 0; len(out) < n; i++ {
		out = append(out, p.chunks[i][:min(chunkSize, n-len(out))]...)
	}
	return out
}
