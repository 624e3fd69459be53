package conn

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// Errors of streams, beside *frame.StreamError for a stream that was reset and *frame.ConnError for
// one that was lost with its connection. What a passed deadline gives is os.ErrDeadlineExceeded.
var (
	// ErrReadClosed: Read after CloseRead.
	ErrReadClosed = errors.New("http2: read on a stream after CloseRead")
	errClosed     = net.ErrClosed
	errDeadline   = os.ErrDeadlineExceeded
)

// Stream is one exchange on a connection. Its methods may be called from any goroutine, but only
// one may read and one write at a time. After Release it must not be touched.
//
// It is one type for both roles, since a Handler and a Tunnel take streams of both, and most
// methods are common. A method whose comment ends in "Client only" or "Server only" is of no use on
// a stream of the other role.
type Stream struct {
	c  *Conn
	cs core.Stream

	// Everything below is guarded by Conn.mu.

	canRead  sync.Cond // signals a part of the message, its end, an error, or a deadline that has passed
	canWrite sync.Cond // signals that send.drained is set or borrowed is 0, an error, or a deadline that has passed

	streamLife
}

// streamLife is the part of a Stream that is zeroed when its memory is used for another stream.
type streamLife struct {
	recv   recvState
	send   sendState
	client clientStream

	closed   bool        // the stream is no longer in core's table
	released bool        // Release was called
	err      error       // why the stream died early; nil while it is alive, and after a complete exchange
	dead     atomic.Bool // err is set; may be read without the lock

	onEnd        func(error) // what OnEnd was given
	onEndPending bool        // onEnd is to be called, or runs: until it returns no call on the stream returns err
	tunnel       *Tunnel     // what NewTunnel has made of the stream
	owner        any         // what SetOwner was given
}

// recvState is the peer's message on a stream.
type recvState struct {
	body     body           // DATA that has arrived and was not read
	trailers []header.Field // valid once endReceived is set
	deadline deadline       // after which reads fail

	headReceived  bool // the head has arrived, on a client the final one of the response
	endedWithHead bool // END_STREAM came with the head
	endReceived   bool // END_STREAM has arrived
	closed        bool // CloseRead was called: what arrives is dropped
	expired       bool // the time of EndReadAt has passed before END_STREAM arrived: what arrives is dropped
	resetOnData   bool // the tunnel on the stream was closed: DATA of the peer resets the stream
}

// sendState is our message on a stream.
type sendState struct {
	deadline deadline // after which writes fail
	drained  bool     // nothing that Write or Finish has queued waits to be moved to the output
	finished bool     // END_STREAM was queued
	borrowed int32    // segments of the memory of Write or Finish that the flusher may read
}

// clientStream is what only a client's stream has.
type clientStream struct {
	flushesAtOpen uint64 // the connection's flushes when the request was appended to the output
	readsAtOpen   uint64 // the reads of the socket at that time
	unsent        bool   // the stream died before any of the request was written
	wakeQueued    bool   // the stream is in clientState.wakeQueue
	promising     bool   // the stream is in clientState.promising

	onInterim func(*header.Message) // Request.OnInterim
	onReceive func(n int)           // what OnReceive was given
	parent    any                   // the owner of the stream on which this one was promised
	promise   *header.Message       // the promised request
}

var streamPool = sync.Pool{New: func() any { return new(Stream) }}

// newStream is core.Config.NewStream: it returns the memory for a stream, from a pool.
func (c *Conn) newStream() *core.Stream {
	st := streamPool.Get().(*Stream)
	st.c = c
	st.cs.Owner = st
	st.canRead.L, st.canWrite.L = &c.mu.Mutex, &c.mu.Mutex
	st.send.drained = true
	return &st.cs
}

// maxKeptFields is how many fields the memory for a header section may have room for to be kept
// with a Stream that is used again.
const maxKeptFields = 64

// recycleLocked gives the memory of a stream back to the pool once neither the application nor core
// nor a callback uses it.
func (st *Stream) recycleLocked() {
	if !st.released || !st.closed || st.client.wakeQueued || st.client.promising || st.onEndPending {
		return
	}
	if st.recv.deadline.timer != nil {
		st.recv.deadline.stopLocked()
	}
	if st.send.deadline.timer != nil {
		st.send.deadline.stopLocked()
	}
	chunks, trailers := st.recv.body.chunks, st.recv.trailers
	if fields := &st.cs.Head.Fields; cap(*fields) > maxKeptFields {
		*fields = nil
	} else {
		clear(*fields) // core begins with the rest anew
	}
	st.c, st.canRead.L, st.canWrite.L = nil, nil, nil
	st.streamLife = streamLife{}
	st.recv.body.chunks, st.recv.trailers = chunks[:0], trailers[:0]
	streamPool.Put(st)
}

// ID returns the stream's identifier (RFC 9113 §5.1.1).
func (st *Stream) ID() uint32 { return st.cs.ID }

// Conn returns the connection that the stream belongs to.
func (st *Stream) Conn() *Conn {
	if st.c == nil {
		panic("BUG: stream used after Release")
	}
	return st.c
}

// Message returns the head of the request on a server, and of the response on a client once
// AwaitHead has returned. It is valid, and must not be changed, until Release.
func (st *Stream) Message() *header.Message { return &st.cs.Head }

// HeadOnly reports whether END_STREAM came with the head of the request, which so has no content
// and no trailers. Server only.
func (st *Stream) HeadOnly() bool { return st.recv.endedWithHead } // is as it was handed over

// SetOwner keeps v for the user of the stream, until Release. It must be called before other
// goroutines use the stream, and returns what Err returns. Server only: a client's request brings
// its Owner along.
func (st *Stream) SetOwner(v any) error {
	st.owner = v
	if st.dead.Load() {
		return st.Err()
	}
	return nil
}

// Owner returns what SetOwner was given. Server only.
func (st *Stream) Owner() any { return st.owner }

// Err returns why the stream died early, nil while it is alive and after a complete exchange.
func (st *Stream) Err() error {
	st.c.mu.Lock()
	defer st.c.mu.Unlock()
	return st.awaitOnEndLocked(st.err)
}

// Dead reports whether the stream died early, in which case Err says why. It takes no lock.
func (st *Stream) Dead() bool { return st.dead.Load() }

// RemoteEnded reports whether the peer has sent all of its message.
func (st *Stream) RemoteEnded() bool {
	st.c.mu.Lock()
	defer st.c.mu.Unlock()
	return st.recv.endReceived
}

// OnEnd sets a function that is called once if the stream dies early: reset by either side, or lost
// with its connection. f gets the reason, is called outside the connection's lock by the goroutine
// that found out, at once if the stream is dead already, and must not block. It is not called for a
// death after Release; one that has been called before may still run then. On a server no call on
// the stream returns the reason before f has returned, so f must not call one.
func (st *Stream) OnEnd(f func(err error)) {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	if st.err != nil {
		st.queueOnEndLocked(f)
	} else {
		st.onEnd = f
	}
}

// Reset ends the stream at once with RST_STREAM (RFC 9113 §6.4) and flushes. Reads and writes fail.
// It does nothing when the stream is closed.
func (st *Stream) Reset(code frame.Code) {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	if c.mu.phase == phaseOpen {
		c.ensureOutputLocked()
		c.core.Reset(&st.cs, code)
		c.handleEventsLocked()
		c.flushSoonLocked()
	}
}

// Release ends the use of the stream: no method of it may be called from then on. What was given to
// Finish is still sent. If Finish was not called, RST_STREAM(CANCEL) ends the stream. If the peer
// has not ended its side, it is told to stop sending once our side has ended: with
// RST_STREAM(NO_ERROR) if we are the server (RFC 9113 §8.1), with RST_STREAM(CANCEL) if we are the
// client. Nothing is flushed.
func (st *Stream) Release() {
	c := st.c
	if c == nil {
		panic("BUG: stream released twice")
	}
	c.mu.Lock()
	defer c.unlockAndNotify()
	if st.released {
		panic("BUG: stream released twice")
	}
	st.releaseLocked()
}

func (st *Stream) releaseLocked() {
	c := st.c
	if st.recv.deadline.timer != nil { // the write deadline may still be needed
		st.recv.deadline.stopLocked()
	}
	if st.recv.body.size > 0 {
		st.dropBodyLocked()
	}
	st.onEnd = nil
	if !st.closed && c.mu.phase == phaseOpen {
		c.ensureOutputLocked()
		if st.send.finished {
			c.core.StopRecv(&st.cs)
		} else {
			c.core.Reset(&st.cs, frame.Cancel)
		}
		c.handleEventsLocked()
	}
	st.released = true
	st.recv.closed = true
	st.recycleLocked()
	c.dropOutputLocked()
}

// failLocked notes that the stream has died early. On a server a stream whose response is complete,
// and of whose request no more is wanted, has not: it ends as after a complete exchange.
func (st *Stream) failLocked(err error) {
	complete := st.c.role == core.Server && st.send.finished && st.send.drained && st.recv.closed
	if st.err != nil || complete {
		return
	}
	st.err = err
	st.dead.Store(true)
	if c := st.c; c.client != nil {
		st.client.unsent = c.mu.out.socketLost && st.client.flushesAtOpen == c.mu.out.flushes
	}
	st.canRead.Broadcast()
	st.canWrite.Broadcast()
	st.interruptReadLocked()
	if st.onEnd != nil {
		st.queueOnEndLocked(st.onEnd)
		st.onEnd = nil
	}
	if st.tunnel != nil {
		st.tunnel.queueOnEndLocked(err)
	}
}

// queueOnEndLocked has f called, when the lock is released, with the reason why the stream died.
func (st *Stream) queueOnEndLocked(f func(error)) {
	n := callback{f: f, err: st.err}
	if st.c.role == core.Server {
		n.stream, st.onEndPending = st, true
	}
	st.c.mu.pending = append(st.c.mu.pending, n)
}

// onEndReturned is called when the function of OnEnd has returned.
func (st *Stream) onEndReturned(c *Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st.onEndPending = false
	st.canRead.Broadcast()
	st.canWrite.Broadcast()
	st.recycleLocked()
}

// awaitOnEndLocked returns err, which a call on the stream is about to return, once the function of
// OnEnd has returned for the stream's death: a handler that sees the error finds the context of its
// request done.
func (st *Stream) awaitOnEndLocked(err error) error {
	for err != nil && st.onEndPending {
		if c := st.c; len(c.mu.pending) > 0 { // perhaps by this very goroutine
			c.unlockAndNotify()
			c.mu.Lock()
		} else {
			st.canRead.Wait()
		}
	}
	return err
}
