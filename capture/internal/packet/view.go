package packet

import (
	"encoding/binary"
	"net/netip"
)

// A view is what is left of a packet behind the headers that were taken off.
type view struct {
	p    []byte // what was captured
	wire int    // octets on the wire, at least len(p)
}

// skip takes n octets off the front. It reports whether they were captured.
func (v *view) skip(n int) bool {
	if n < 0 || n > len(v.p) {
		return false
	}
	v.p, v.wire = v.p[n:], v.wire-n
	return true
}

// limit leaves the first n octets: what is behind is padding.
func (v *view) limit(n int) {
	v.p, v.wire = v.p[:min(n, len(v.p))], n
}

// u16 and u32 return the number at an offset, which the caller knows to be there.
func (v *view) u16(at int) uint16 { return binary.BigEndian.Uint16(v.p[at:]) }
func (v *view) u32(at int) uint32 { return binary.BigEndian.Uint32(v.p[at:]) }

// addr4 and addr16 return the address at an offset, which the caller knows to be there.
func (v *view) addr4(at int) netip.Addr  { return netip.AddrFrom4([4]byte(v.p[at:])) }
func (v *view) addr16(at int) netip.Addr { return netip.AddrFrom16([16]byte(v.p[at:])) }
