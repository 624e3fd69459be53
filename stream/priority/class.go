package priority

// class is a priority of RFC 9218 in one octet: the urgency in the lowest three
// bits, and flags. 0 is none.
type class uint8

const (
	urgencyBits class = 7
	incremental class = 1 << 3
	stated      class = 1 << 4

	defaultClass = stated | DefaultUrgency
)

func (p Params) class() class {
	if !p.Extensible {
		return defaultClass
	}
	c := stated | class(min(p.Urgency, MaxUrgency))
	if p.Incremental {
		c |= incremental
	}
	return c
}

func (c class) urgency() int      { return int(c & urgencyBits) }
func (c class) incremental() bool { return c&incremental != 0 }

func (c class) params() Params {
	if c == 0 {
		return Params{}
	}
	return Params{Extensible: true, Urgency: uint8(c & urgencyBits), Incremental: c.incremental()}
}
