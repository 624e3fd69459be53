package priority

// IgnoresTree reports whether s ignores the priorities of RFC 7540, which is so when it has a
// method IgnoresTree() bool that returns true. A server says that to its clients with
// SETTINGS_NO_RFC7540_PRIORITIES. Clients that support RFC 9218 then send the signals of that alone
// (RFC 9218 §2.1.1).
func IgnoresTree(s Scheduler) bool {
	t, ok := s.(interface{ IgnoresTree() bool })
	return ok && t.IgnoresTree()
}

// IgnoresTree returns true.
func (e *extensible) IgnoresTree() bool { return true }

// Decide changes the priority of a stream as this side has decided, for example by the priority
// field of a response. Adjust, in contrast, is for the priorities that the peer has stated. If s
// has a method Decide(id uint32, p Params), Decide calls that, otherwise Adjust.
func Decide(s Scheduler, id uint32, p Params) {
	if d, ok := s.(interface{ Decide(id uint32, p Params) }); ok {
		d.Decide(id, p)
		return
	}
	s.Adjust(id, p)
}
