package conn

import (
	"errors"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
)

// When a connection calls the application.
//
//  1. A function that holds the lock calls core. What core has found comes out of NextEvent, and
//     handleEventsLocked brings it to the streams.
//  2. A function of the application that is to be called for it is appended to mu.pending. On a
//     client, a change of the stream quota and streams with something to read are noted, too.
//  3. unlockAndNotify finds whether the connection has become idle or active, releases the lock,
//     and calls what is pending, in order, then the function of OnQuota, then Handler.ConnState.

// activity says whether a connection has open streams. It is unknown until the peer's SETTINGS
// come.
type activity uint8

const (
	activityUnknown activity = iota
	activityActive           // streams are open
	activityIdle
)

// stateReport is the state of a connection for Handler.ConnState.
type stateReport struct {
	current   activity
	reported  activity // what the last call of ConnState has said
	reporting bool     // a goroutine is calling ConnState, and will report later changes, too
}

// callback is a call of the application that waits until the lock is free.
type callback struct {
	f      func(error)
	err    error
	stream *Stream // its calls that fail wait until f has returned; may be nil
}

func (n *callback) call(c *Conn) {
	if n.stream != nil {
		defer n.stream.onEndReturned(c) // even if f panics
	}
	n.f(n.err)
}

// unlockAndNotify releases the lock and calls the application for what has changed while it was
// held. It closes a poisoned connection before that.
func (c *Conn) unlockAndNotify() {
	if c.mu.poisoned {
		c.closePoisonedLocked()
	}
	switch {
	case c.core.NumStreams() > 0:
		c.mu.state.current = activityActive
	case c.mu.settingsReceived && c.mu.state.current != activityIdle:
		c.mu.state.current = activityIdle
		if c.mu.phase == phaseOpen && (c.role == core.Server || c.opts.IdleTimeout > 0) {
			c.core.SetTime(time.Now()) // idle from now on
			if c.opts.IdleTimeout > 0 || c.core.State().Draining {
				c.armLocked() // for the idle timeout, as nothing else may happen until then
			}
		}
	}
	st := &c.mu.state
	report := st.current != st.reported && !st.reporting && c.handler != nil
	var onQuota func()
	if c.client != nil {
		onQuota = c.client.unlockingLocked()
	}
	if !report && len(c.mu.pending) == 0 && onQuota == nil {
		c.mu.Unlock()
		return
	}
	st.reporting = st.reporting || report
	callbacks := c.mu.pending
	c.mu.pending = nil
	c.mu.Unlock()
	c.runCallbacks(callbacks, onQuota, report)
}

// runCallbacks calls the application: callbacks, then onQuota, which may be nil, then, if report is
// set, Handler.ConnState until that has said the present state. state.reporting is set meanwhile,
// which keeps its calls in order without a lock, so that ConnState may call the connection. When
// one of the calls does not return, the connection ends, and the others are made all the same.
func (c *Conn) runCallbacks(callbacks []callback, onQuota func(), report bool) {
	st := &c.mu.state
	ok, reporting := false, false
	defer func() {
		if ok {
			return
		}
		v := unwoundBy(recover())
		c.mu.Lock()
		st.reporting = st.reporting && !reporting
		c.failPanicLocked(v)
		c.unlockAndNotify()
		c.runCallbacks(callbacks, onQuota, report)
	}()
	for len(callbacks) > 0 {
		next := callbacks[0]
		callbacks = callbacks[1:]
		next.call(c)
	}
	if f := onQuota; f != nil {
		onQuota = nil
		f()
	}
	if report {
		report, reporting = false, true
		c.mu.Lock()
		for st.current != st.reported {
			st.reported = st.current
			idle := st.current == activityIdle
			c.mu.Unlock()
			c.handler.ConnState(idle)
			c.mu.Lock()
		}
		st.reporting = false
		c.mu.Unlock()
	}
	ok = true
}

// handleEventsLocked brings to the streams, and to the callbacks, what core has found.
func (c *Conn) handleEventsLocked() {
	for e, ok := c.core.NextEvent(); ok; e, ok = c.core.NextEvent() {
		var st *Stream
		if e.Stream != nil {
			st = e.Stream.Owner.(*Stream)
		}
		switch e.Kind {
		case core.EventHeaders:
			st.recv.headReceived, st.recv.endReceived, st.recv.endedWithHead = true, e.End, e.End
			if c.client == nil {
				c.reader.opened = append(c.reader.opened, st) // only the reader, in apply, gets this event
			} else {
				c.client.queueWakeLocked(st)
			}
		case core.EventData:
			st.receiveDataLocked(e.Data, e.End)
		case core.EventTrailers:
			st.receiveTrailersLocked(e.Message.Fields)
		case core.EventDrained:
			st.send.drained = true
			if st.send.borrowed == 0 {
				st.canWrite.Broadcast()
			}
		case core.EventReset:
			st.failLocked(e.Err)
		case core.EventClosed:
			st.closed = true
			if c.client != nil {
				c.client.noteStreamClosedLocked(st)
			}
			st.recycleLocked()
		case core.EventFault:
			c.countErrorLocked(e.Err)
		case core.EventSettings:
			c.mu.settingsReceived = true
			if c.client != nil {
				c.client.quotaChanged = true
				c.client.signalSettingsLocked()
			}
		case core.EventPingAck:
			c.pingAckedLocked(e.Ping)
		case core.EventGoAway:
			c.noteGoAwayLocked(e.Err)
		case core.EventInformational, core.EventPush, core.EventOrigin, core.EventAltSvc:
			c.client.handleClientEventLocked(e, st)
		}
	}
}

// noteQuotaChangedLocked has unlockAndNotify call the function of OnQuota on a client.
func (c *Conn) noteQuotaChangedLocked() {
	if c.client != nil {
		c.client.quotaChanged = true
	}
}

// countErrorLocked reports a fault of the peer to Config.CountError, by its scope and code: the
// names are few and fixed.
func (c *Conn) countErrorLocked(err error) {
	f := c.opts.CountError
	if f == nil {
		return
	}
	var name string
	var se *frame.StreamError
	var ce *frame.ConnError
	switch {
	case errors.As(err, &se):
		name = "stream_" + se.Code.String()
	case errors.As(err, &ce):
		name = "conn_" + ce.Code.String()
	}
	c.mu.pending = append(c.mu.pending, callback{f: func(error) { c.runIsolated(func() { f(name) }) }})
}
