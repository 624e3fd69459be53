package stream

import (
	"github.com/sluice-go/sluice/frame"
)

// IDs assigns and checks the stream identifiers of one connection (RFC 9113 §5.1.1): odd for
// streams that the client opens, even for the server's, strictly increasing on each side. Make one
// with NewIDs.
type IDs struct {
	next   uint32 // the identifier that Next returns; above frame.MaxStreamID when there is none
	local  uint32 // the highest identifier that Next returned, 0 before the first
	remote uint32 // the highest identifier that Accept accepted, 0 before the first
	parity uint32 // the lowest bit of our own identifiers
}

// NewIDs returns the identifiers of a connection on which we are the client if client is true, else
// the server.
func NewIDs(client bool) *IDs {
	if client {
		return &IDs{next: 1, parity: 1}
	}
	return &IDs{next: 2}
}

// Next returns the identifier of the next stream that we open or promise. ok is false when all
// identifiers are used up: a client opens another connection then, a server sends GOAWAY.
func (i *IDs) Next() (id uint32, ok bool) {
	if i.next > frame.MaxStreamID {
		return 0, false
	}
	id = i.next
	i.next += 2
	i.local = id
	return id, true
}

// Exhausted reports whether Next has no identifier left.
func (i *IDs) Exhausted() bool { return i.next > frame.MaxStreamID }

// Accept checks the identifier of a stream that the peer opens with HEADERS or promises with
// PUSH_PROMISE, and records it: lower idle identifiers of the peer are closed from then on. It
// returns a *frame.ConnError PROTOCOL_ERROR when the identifier is 0, one of ours, above 2^31-1, or
// not higher than all before; then nothing changes.
func (i *IDs) Accept(id uint32) error {
	if id == 0 || id > frame.MaxStreamID || i.IsLocal(id) {
		return frame.NewConnError(frame.ProtocolError, sectionIDs, "stream identifier that the peer may not open")
	}
	if id <= i.remote {
		return frame.NewConnError(frame.ProtocolError, sectionIDs, "stream identifier not higher than those before")
	}
	i.remote = id
	return nil
}

const sectionIDs = "RFC 9113 §5.1.1"

// IsLocal reports whether id belongs to the streams that we open.
func (i *IDs) IsLocal(id uint32) bool { return id != 0 && id&1 == i.parity }

// Idle reports whether the stream id is idle: no stream of its side with this or a higher
// identifier has been opened or reserved. Identifiers that were skipped are closed, not idle. 0 is
// never idle.
func (i *IDs) Idle(id uint32) bool {
	if i.IsLocal(id) {
		return id > i.local
	}
	return id > i.remote
}

// LastLocal returns the highest identifier that Next returned, 0 before the first.
func (i *IDs) LastLocal() uint32 { return i.local }

// LastRemote returns the highest identifier that the peer opened or reserved, 0 before the first.
func (i *IDs) LastRemote() uint32 { return i.remote }
