package conn

import (
	"errors"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/stream/priority"
)

// How a client opens a request.
//
//  1. What has come while no goroutine read is handled first (client_catchup.go).
//  2. The stream takes a place in the quota (client_quota.go), one that was reserved or one that is
//     free, and the request is appended to the output.
//  3. It is flushed together with what other goroutines that run now are about to append.

// Request is what OpenRequest sends.
type Request struct {
	// Fields are the header section, pseudo-header fields first (RFC 9113 §8.3.1).
	Fields []header.Field
	// Head says that the method is HEAD, whose response describes content that is not sent.
	Head bool
	// End says that Body and Trailers, which may be empty, are all that follows. Body is at most
	// 16 KiB.
	End      bool
	Body     []byte
	Trailers []header.Field

	// Priority is what the request asks for. RFC 9218's part is sent as a priority field, unless
	// Fields have one, which then is what the server sees. The tree's part is sent with HEADERS
	// (RFC 7540 §6.2), where Config.TreePriorities is set and the server has not said that it
	// ignores that. A Scheduler that follows priorities sends request bodies in the order that they
	// ask for, too. See Stream.SetPriority for later.
	Priority priority.Params

	// Reserved says that the stream uses what Reserve has taken of the quota. That is used up in
	// any case.
	Reserved bool
	// Owner is as given to SetOwner.
	Owner any
	// Into, if set, gets the stream before any of the functions below is called.
	Into **Stream
	// OnEnd is as given to Stream.OnEnd; it may be called before OpenRequest returns.
	OnEnd func(error)
	// OnInterim is called with each interim response (RFC 9110 §15.2), by the goroutine that reads
	// the socket, and must not block. The message is valid during the call.
	OnInterim func(*header.Message)
	// TakesInterim says that OnInterim resets the stream when there are too many interim responses.
	// Otherwise their octets together are bounded by Config.MaxHeaderBytes.
	TakesInterim bool
}

// OpenRequest opens a stream with a request and sends it, together with what other goroutines that
// run now are about to send. It does not wait for the peer or the socket. Nothing of r is used
// after the return. The error is ErrHeaderListSize or as of Reserve, and then nothing was sent.
func (c *Client) OpenRequest(r *Request) (*Stream, error) {
	c.mu.Lock()
	defer c.unlockAndNotify()
	c.catchUpLocked()
	if r.Reserved {
		c.reserved--
	}
	st, err := c.openRequestLocked(r)
	if err != nil {
		c.quotaChanged = true // its place is free again
		return nil, err
	}
	return st, nil
}

func (c *Client) openRequestLocked(r *Request) (*Stream, error) {
	if err := c.quotaErrLocked(); err != nil {
		return nil, err
	}
	fields := withPriorityField(r.Fields, r.Priority)
	if header.ListSize(fields) > uint64(c.core.PeerSettings().MaxHeaderListSize) {
		return nil, ErrHeaderListSize
	}
	c.noteRequestGapLocked()
	c.ensureOutputLocked()
	end := r.End && len(r.Body) == 0 && len(r.Trailers) == 0
	s, err := c.core.Open(core.Request{Fields: fields, Head: r.Head, End: end, Priority: r.Priority})
	if err != nil {
		c.dropOutputLocked()
		return nil, err
	}
	st := s.Owner.(*Stream)
	st.owner, st.onEnd, st.client.onInterim = r.Owner, r.OnEnd, r.OnInterim
	if r.TakesInterim {
		c.core.UnboundedInterim(s)
	}
	if r.Into != nil {
		*r.Into = st
	}
	st.send.finished = end
	st.client.flushesAtOpen, st.client.readsAtOpen = c.mu.out.flushes, c.mu.stats.reads
	c.handleEventsLocked()
	if r.End && !end {
		// It fails only where the stream has died, and then AwaitHead returns why.
		_ = st.finishLocked(r.Body, r.Trailers)
	}
	if c.opts.SendPingTimeout > 0 {
		c.armLocked()
	}
	c.flushNoWaitLocked()
	return st, nil
}

// ErrHeaderListSize: the server takes no header section of that size
// (SETTINGS_MAX_HEADER_LIST_SIZE).
var ErrHeaderListSize = errors.New("http2: request header list larger than peer's advertised limit")

// Unsent reports of a stream that has died with its connection whether nothing of its request was
// sent, so that the peer cannot have acted on it. Client only.
func (st *Stream) Unsent() bool {
	st.c.mu.Lock()
	defer st.c.mu.Unlock()
	return st.err != nil && st.client.unsent
}
