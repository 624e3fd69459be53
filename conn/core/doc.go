// Package core is one HTTP/2 connection as a machine without I/O, in either role: bytes go in,
// events and bytes to send come out (RFC 9113). It has the preface, the exchange of SETTINGS,
// header blocks (with package header), the states of streams, flow control, scheduling, PING,
// GOAWAY and the limits on what a peer can make it do. It has no socket, goroutine, lock or clock:
// time is an argument. Package conn adds those; a program with an event loop of its own can use
// core without it.
//
// # Use
//
//	c := core.New(cfg)
//	c.Start(now)                  // our preface is in the output
//	send(c.Output(nil))
//	for b := range received {     // b begins with what was left over
//		n, more, err := c.Receive(b, now)
//		for e, ok := c.NextEvent(); ok; e, ok = c.NextEvent() { … }
//		// Call Receive again with b[n:] while more is true. On an error: c.Fail(err), send, close.
//		c.Fill(limit)         // queued data that the windows let pass
//		send(c.Output(nil))
//	}
//
// Deadline returns the time at which Tick is to be called, for timeouts, keepalive and the steps of
// a shutdown. When Drained returns true, the connection can be closed.
//
// Whatever a peer sends results in an event, in nothing, or in a *frame.ConnError that is returned
// to the caller, which hands it to Fail. Errors of one stream are answered with RST_STREAM here and
// come as EventReset.
//
// # Files
//
// Each frame type has a file for what is received (recv_data.go, recv_headers.go, recv_settings.go,
// ping.go, recv_goaway.go …); decode.go and recv.go are the two steps before. What is sent begins
// in send.go, push.go, reset.go and goaway.go. Each timer has a file: preface.go, settings.go,
// partial.go, stall.go, idle.go, keepalive.go, goaway.go; deadline.go combines them.
//
// # Conn and Driver
//
// The methods of Conn are what a program with one goroutine needs. Driver has more, for package
// conn, and may change from one version to the next.
//
// # Two goroutines
//
// A Conn has no lock. Receive consists of two steps, so that a caller with a lock can do the first
// without it: Decode cuts one frame and decodes its header block, and Apply lets it take effect.
// The methods are of three kinds:
//
//   - Decode, Frame and Refuse touch only what belongs to the reader, the goroutine that
//     reads the socket. They need no lock, and may run while other goroutines hold it.
//   - Receive, Apply, SetPartial and Compact touch that and the rest: the reader calls them with
//     the lock held.
//   - All other methods need the lock. Any goroutine may call them.
//
// # Flow control
//
// Every octet of DATA that is received is taken from the connection's window and returned exactly
// once: at once where it is dropped or padding, and otherwise as soon as it has arrived, while no
// more than Config.MaxUnread octets are unread. Beyond that the credit is withheld until Consume,
// or until the peer has acknowledged a smaller SETTINGS_INITIAL_WINDOW_SIZE, which then bounds what
// can come. So a stream whose data is not read closes its own window, not that of the connection.
// Where Consume asks for Tune, windows that are smaller than the bandwidth-delay product become
// larger, up to Config.WindowGrowth.
//
// # Limitations
//
// Frames are handled whole: the caller's buffer must be able to hold one of
// Config.MaxReadFrameSize. The content of ALTSVC and ORIGIN frames is checked and given to the
// caller, and changes nothing here. SETTINGS are sent once, by Start, but for
// SETTINGS_INITIAL_WINDOW_SIZE.
package core
