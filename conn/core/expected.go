package core

// Expected returns how many octets of DATA are sure to follow on the stream of the last DATA frame, unless the peer pauses
// or gives up: those of its content-length that both windows allow, or will allow once what has come is read. It is 0 where that is not known, and while the time
// until the answer to a PING of ours is being taken.
func (c *Conn) Expected() int {
	s := c.lastData
	if s == nil || !s.state.CanReceive() || s.noBody || c.life.tunePinged || c.life.pingOut {
		return 0
	}
	left := s.Head.ContentLength - s.recvBody
	room := int64(s.recv.Available())
	if s.unread > 0 {
		// Whoever reads it gives the peer credit for half of the window at least.
		room = max(room, int64(s.recv.Size()/2))
	}
	return int(max(0, min(left, room, int64(c.recv.Available()))))
}
