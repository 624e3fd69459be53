// Package core is one HTTP/2 connection as a machine without I/O, in either role: bytes go in,
// events and bytes to send come out (RFC 9113). It knows the preface, the exchange of SETTINGS,
// header blocks (package header), the states of streams, flow control, scheduling, PING, GOAWAY and
// the limits on what a peer can make it do. It knows no socket, goroutine, lock or clock: time is
// an argument. Package conn brings it to life; a program with an event loop of its own can use it
// as it is.
//
// # Use
//
//	c := core.New(cfg)
//	c.Start(now)                         // the first flight is in the output
//	send(c.Output(nil))
//	for b := range received {            // b begins with what was left over
//		n, more, err := c.Receive(b, now)
//		for e, ok := c.NextEvent(); ok; e, ok = c.NextEvent() { … }
//		// Call Receive again with b[n:] while more is true. On an error: c.Fail(err), send, close.
//		c.SetPartial(partial, want, now) // of Partial, where frames must be complete in time
//		c.Fill(limit)                    // queued data that windows let pass
//		send(c.Output(nil))
//	}
//
// Deadline tells when to call Tick, which does what time asks for: timeouts, keepalive, the steps
// of a shutdown. After Drained, the connection can be closed.
//
// Everything that a peer can send ends in an event, in nothing, or in a *frame.ConnError returned
// to the caller, who hands it to Fail. Errors of one stream are answered with RST_STREAM here and
// come as EventReset.
//
// # Two goroutines
//
// A Conn has no lock. Receive is made of two steps, so that a caller who has one can hold it for
// the second alone: Decode cuts one frame and decodes its header block, touching only what belongs
// to the reader; Apply lets it take effect. Decode may run while other goroutines use the rest
// under the caller's lock; Apply, and every other method, needs that lock.
//
// # Accounts
//
// Every octet of DATA that is received is taken from the connection's window and given back exactly
// once: at once where it is dropped or padding, else as soon as it is held, up to Config.MaxUnread;
// only what exceeds that waits for Consume, or for the peer to acknowledge a smaller
// SETTINGS_INITIAL_WINDOW_SIZE, which then bounds what can come. So a stream that nobody reads
// closes its own window, not that of the connection. Where Consume asks for Tune, windows that hold
// the peer up become larger, up to Config.WindowGrowth.
//
// # Limitations
//
// Frames are handled whole: the caller's buffer must be able to hold one of
// Config.MaxReadFrameSize. What ALTSVC and ORIGIN frames say is checked and given to the caller,
// and changes nothing here. What SETTINGS tell the peer is said once, by Start, but for
// SETTINGS_INITIAL_WINDOW_SIZE.
package core
