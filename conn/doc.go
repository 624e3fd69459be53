// Package conn runs an HTTP/2 connection: package core with a socket, a lock, a clock and
// goroutines. It gives its users a *Stream for each exchange, with blocking reads and writes,
// deadlines and resets, and no types of net/http. Packages server and client build on it; programs
// that want HTTP/2 without net/http can do the same.
//
// A server answers streams with a [Handler], and a client opens them:
//
//	s := conn.NewServer(nc, conn.Config{}, handler) // HandleStreams gets what clients ask for
//	err := s.Serve()                                // returns when the connection has ended
//
//	c := conn.NewClient(nc, conn.Config{}, nil)
//	go c.Serve()
//	st, err := c.OpenRequest(&conn.Request{Fields: fields, End: true})
//	head, err := st.AwaitHead() // then st.Read, st.Trailers and st.Release
//
// The example below is a whole program. The zero [Config] will do: its fields say what they default
// to.
//
// # Tunnels
//
// NewTunnel makes a net.Conn of a stream, as CONNECT (RFC 9113 §8.5) and extended CONNECT (RFC
// 8441) want it. A Tunnel has no goroutine: an idle one costs its stream's memory, whatever the
// number.
//
// # Memory
//
// A connection on which nothing happens holds no buffers: those for input and output come from
// pools when there is something in them, and DATA that waits for its reader is kept in chunks that
// grow with use.
//
// Receive windows bound how much that can be. They begin small and grow, for streams that are read,
// with bandwidth and delay of the path: Config.MaxReceiveBufferGrowth says how far, and Stats says
// how far they have.
//
// # Limitations
//
// Where the TLS connection is not made by package server or client, a peer must take a record of 16
// KiB within Config.WriteByteTimeout, since crypto/tls cannot go on after a write that was given
// up; otherwise an octet is enough. On sockets other than TCP and Unix ones, TLS among them, and on
// systems other than Unix, a read must hold a buffer while it waits: 4 KiB, or 64 KiB when the read
// before brought more than that and a stream is open.
//
// # Goroutines
//
// Serve is the one goroutine that a connection keeps: it reads, and handles everything that one
// read brought before the next. On a client, where requests follow one another closely and one at a
// time, the goroutine that waits for the response reads in its place (readlease.go). A goroutine
// that has something to send appends it and calls Flush: one at a time takes all that is ready, of
// all streams, in one write. Where none would, a goroutine is started that flushes and ends. The
// reader itself never writes, so that two peers which both write cannot wait for each other; nor do
// reads and writes of streams wait in the socket, so that a blocked one does not keep them beyond a
// reset or a deadline: a large Write sends only what a plain socket takes at once.
//
// # Locks
//
// There is one lock for each connection, Conn.mu; the comment of Conn has its rules. It is not held
// over a system call that may wait, a wait on a channel or a call of the application, but for the
// Scheduler and Padding of Config. Readers and writers of streams wait on conditions of their
// stream.
package conn
