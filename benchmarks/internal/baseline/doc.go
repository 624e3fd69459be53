// Package baseline is what the system calls alone cost: the least that a server or a client of the
// comparison can take. It shows where the kernel and the machine are the limit, and not the
// programs that are compared.
//
// It is neither a server nor a client. What [NewServer] makes finds the frames in what it reads,
// and for each HEADERS it writes an answer that was made at the start, with the stream's identifier
// put in; a [Client] does the same in the other role. They acknowledge SETTINGS and answer PING.
// They decode no header block, look at no path, and mind neither windows nor limits nor states; a
// peer that breaks the protocol gets nonsense. What they save:
//
//   - No goroutine waits for another. A thread reads, answers all that has come with one write, and
//     reads again.
//   - Sockets block, and the runtime of Go is not told of system calls: with one connection there
//     is a read for each request, which waits for it, and a write; with many there is a wait, and a
//     read and a write for each connection that has something.
//   - Nothing is allocated, and no lock is taken but one at each wake-up.
//
// Over TLS, with one connection at a time, the server has crypto/tls on such a socket.
//
// Limitations: Linux only, and small bodies only. For large ones there are ways that are quicker
// than to read and to write as soon as it can be done, so this would be no baseline. The client has
// no TLS.
package baseline
