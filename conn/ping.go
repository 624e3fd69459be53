package conn

import (
	"context"
	"encoding/binary"
	"time"
)

// PING at the application's request, on either side.

// Ping sends a PING (RFC 9113 §6.7) and waits for its answer. It returns how long that took, or the
// error of ctx or of the connection.
func (c *Conn) Ping(ctx context.Context) (time.Duration, error) {
	answer := make(chan error, 1) // each call has a channel, so this never blocks
	start := time.Now()
	data, err := c.startPing(func(err error) { answer <- err })
	if err != nil {
		return 0, err
	}
	select {
	case err = <-answer:
	case <-ctx.Done():
		err = ctx.Err()
		c.mu.Lock()
		delete(c.mu.pings, data)
		c.mu.Unlock()
	}
	return time.Since(start), err
}

// pingPrefix makes the payload of the application's PINGs differ from those of core.
const pingPrefix = 0x53 << 56

func (c *Conn) startPing(answered func(error)) (data [8]byte, err error) {
	c.mu.Lock()
	defer c.unlockAndNotify()
	if c.mu.phase != phaseOpen {
		return data, c.endErrLocked()
	}
	c.mu.lastPing++
	binary.BigEndian.PutUint64(data[:], pingPrefix|c.mu.lastPing)
	if c.mu.pings == nil {
		c.mu.pings = make(map[[8]byte]func(error))
	}
	c.mu.pings[data] = answered
	if c.client != nil && c.client.lease.holder == leaseFree {
		c.client.returnLeaseLocked() // for the answer to be read
	}
	c.ensureOutputLocked()
	c.core.Ping(data)
	c.flushSoonLocked()
	return data, nil
}

// pingAckedLocked has a call of Ping return whose payload the peer has sent back.
func (c *Conn) pingAckedLocked(data [8]byte) {
	if f := c.mu.pings[data]; f != nil {
		delete(c.mu.pings, data)
		c.mu.pending = append(c.mu.pending, callback{f: f})
	}
}

// failPingsLocked ends the calls of Ping that wait when the connection is lost.
func (c *Conn) failPingsLocked(err error) {
	for _, f := range c.mu.pings {
		c.mu.pending = append(c.mu.pending, callback{f: f, err: err})
	}
	c.mu.pings = nil
}

// Probe asks with a PING at once whether the peer is still there, if nothing was received since st
// was opened, within the budget of Config.PingBudget and only where keepalive is on. Client only.
func (st *Stream) Probe() {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	if c.mu.phase == phaseOpen && c.mu.stats.reads == st.client.readsAtOpen {
		c.ensureOutputLocked()
		c.core.Probe(time.Now())
		c.armLocked()
		if c.core.OutputLen() > 0 {
			c.flushSoonLocked()
		}
		c.dropOutputLocked()
	}
}
