package core

// Expected returns how many octets of DATA are worth waiting for on the stream of the last DATA
// frame, which are sure to follow unless the peer pauses or gives up: the rest of its
// content-length where the stream's window allows all of it, and otherwise half of what that
// allows, or of what it will allow once what has come is read, so that the peer can go on sending
// while the reader wakes. It is 0 where that is not known, and while the time until the answer to a
// PING of ours is being taken.
func (d Driver) ExpectedData() int {
	s := d.streams.lastData
	if s == nil || !s.state.CanReceive() || s.noBody || d.pings.rtt || d.pings.keepalive {
		return 0
	}
	left := s.Head.ContentLength - s.recvBody
	room := int64(s.recv.window.Available())
	if left > room {
		// The peer is not to use up its credit while nobody reads: half of it is left when the
		// reader wakes.
		room /= 2
		if s.recv.unread > 0 {
			// Whoever reads it gives the peer credit for half of the window at least.
			room = max(room, int64(s.recv.window.Size()/4))
		}
	}
	return int(max(0, min(left, room, int64(d.recv.window.Available()))))
}
