package core

// ExpectedData returns how many octets of DATA the reader may wait for before it reads again: as
// many will follow on the stream of the last DATA frame unless the peer pauses or resets it. That
// is the rest of the content-length if the stream's window allows all of it. Otherwise it is half
// of what the window allows, or will allow once all that has arrived is consumed, so that the peer
// can go on sending while the reader wakes. ExpectedData is 0 where the length is not known, and
// while a PING measures the round-trip time, which waiting would make longer.
func (d Driver) ExpectedData() int {
	s := d.streams.lastData
	if s == nil || !s.state.CanReceive() || s.noBody || d.pings.rtt || d.pings.keepalive {
		return 0
	}
	left := s.Head.ContentLength - s.recvBody
	room := int64(s.recv.window.Available())
	if left > room {
		// The peer must not run out of credit while the reader sleeps.
		room /= 2
		if s.recv.unread > 0 {
			// When that is consumed, the peer gets credit for half of the window at least.
			room = max(room, int64(s.recv.window.Size()/4))
		}
	}
	return int(max(0, min(left, room, int64(d.recv.window.Available()))))
}
