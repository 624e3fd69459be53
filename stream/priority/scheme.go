package priority

// IgnoresTree tells whether s has no use for the priorities of RFC 7540, as it says
// with a method IgnoresTree() bool that returns true. A server tells its clients so
// with SETTINGS_NO_RFC7540_PRIORITIES, in answer to which those that know RFC 9218
// send its signals alone (RFC 9218 §2.1.1).
func IgnoresTree(s Scheduler) bool {
	t, ok := s.(interface{ IgnoresTree() bool })
	return ok && t.IgnoresTree()
}

// IgnoresTree returns true.
func (e *extensible) IgnoresTree() bool { return true }

// Decide changes the priority of a stream as this side has decided, by the response's
// field for example, where Adjust is what the peer has asked for. A Scheduler for
// which that is not the same has a method Decide(id uint32, p Params); that of others
// is Adjust.
func Decide(s Scheduler, id uint32, p Params) {
	if d, ok := s.(interface{ Decide(id uint32, p Params) }); ok {
		d.Decide(id, p)
		return
	}
	s.Adjust(id, p)
}
