package priority

// Packed is an urgency and an incremental parameter (RFC 9218 §4) in one octet. The zero Packed
// states nothing.
type Packed uint8

const (
	packedUrgency     Packed = 7 // the bits of the urgency
	packedIncremental Packed = 1 << 3
	packedStated      Packed = 1 << 4 // set in each Packed but the zero one

	defaultPacked = packedStated | DefaultUrgency
)

// Pack returns the urgency and the incremental parameter that p states, 0 where p.Extensible is
// false. An urgency above 7 is 7.
func (p Params) Pack() Packed {
	if !p.Extensible {
		return 0
	}
	k := packedStated | Packed(min(p.Urgency, MaxUrgency))
	if p.Incremental {
		k |= packedIncremental
	}
	return k
}

// Apply sets Extensible, Urgency and Incremental of p to what k states, and leaves the rest of p as
// it is. It does nothing where k is 0.
func (k Packed) Apply(p *Params) {
	if k != 0 {
		p.Extensible, p.Urgency, p.Incremental = true, uint8(k&packedUrgency), k.incremental()
	}
}

func (k Packed) urgency() int      { return int(k & packedUrgency) }
func (k Packed) incremental() bool { return k&packedIncremental != 0 }
