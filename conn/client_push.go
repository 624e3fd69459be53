package conn

import (
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// acceptPushLocked takes a stream that the server has promised. The head of the response may come
// before the handler sees the stream, and in the same memory, so the promised request is copied.
func (c *Client) acceptPushLocked(st, parent *Stream) {
	if c.handler == nil || parent.owner == nil || parent.released {
		c.core.Reset(&st.cs, frame.RefusedStream) // the parent has no user that could want it
		st.released = true
		return
	}
	st.client.parent = parent.owner
	promise := st.cs.Head
	promise.Fields = append([]header.Field(nil), st.cs.Head.Fields...)
	st.client.promise = &promise
	st.send.finished = true // a promised stream has no request body
	c.reader.opened = append(c.reader.opened, st)
	if !parent.client.promising {
		parent.client.promising = true
		c.promising = append(c.promising, parent)
	}
}

// promisingLocked reports whether a stream was promised on st that the handler has not got yet.
// What follows the promise is read after that: a proxy must promise before it passes it on (RFC
// 9113 §8.4.1).
func (st *Stream) promisingLocked() bool { return st.client.promising && st.err == nil }

// afterHandOver has what follows promises read: the handler has got the streams.
func (c *Client) afterHandOver() {
	c.mu.Lock()
	defer c.unlockAndNotify()
	for i, st := range c.promising {
		st.client.promising = false
		c.queueWakeLocked(st)
		c.promising[i] = nil
	}
	c.promising = c.promising[:0]
}

// OpenedBy returns the Owner of the stream on which the peer has promised st. Client only.
func (st *Stream) OpenedBy() any { return st.client.parent }

// Promise returns the request that the server has promised to answer on st (RFC 9113 §8.4). Client
// only.
func (st *Stream) Promise() *header.Message { return st.client.promise }

// OnReceive sets a function that is called with the number of octets whenever some have arrived for
// Read, by the goroutine that reads the socket, outside the connection's lock. It must not block,
// and may be called until Release. OnReceive returns how many octets have arrived before, and were
// not read. It is for streams that are held before they are read. Client only.
func (st *Stream) OnReceive(f func(n int)) (have int) {
	st.c.mu.Lock()
	defer st.c.mu.Unlock()
	st.client.onReceive = f
	return st.recv.body.size
}
