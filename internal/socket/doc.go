// Package socket reads and writes stream sockets of package net by their descriptor. [Of] is the
// only place that decides what is taken for such a socket, and [BelowTLS] finds what TLS lies on.
//
// What each system has, and what callers do where it is missing:
//
//	what                               Linux  other Unix        Windows  plain way
//	Reader: read without a buffer      yes    yes, by syscall   no       Read of the net.Conn, with a buffer
//	Writer: write without waiting      yes    yes, by syscall   no       Write of the net.Conn, which may wait
//	VectorWriter: writev               yes    no                no       what is written is copied first
//	Socket.Readable: octets are there  yes    not AIX, Solaris  no       it is not known: only a read finds out
//	Socket.Peek: look, and leave       yes    not AIX, Solaris  no       the octets are read
//	Socket.Unsent                      yes    no                no       the peer is asked, with a PING
//	Socket.AwaitReset                  yes    yes, by syscall   no       the next write finds out
//	Socket.LimitNotSent                yes    macOS             no       the kernel holds what it likes
//	rcvlowat: receive low-water mark   yes    no                no       the reader wakes for what comes
//	idlepoll: readiness watch          yes    no                no       a goroutine with a small stack reads
//	tlsbatch: records written at once  yes    yes               no       crypto/tls writes each by itself
//
// In a build with the race detector all of that is the same, and the detector is told of each raw
// call, as package syscall tells it. In a bubble of testing/synctest there is no rcvlowat and no
// idlepoll, whose timer and goroutine are shared by all connections and would belong to the bubble.
//
// A read or write that does not wait is over in a few microseconds. syscall.Read and Write
// nevertheless prepare for one that blocks, and wake the runtime's monitor from its sleep each time
// that a process with little to do calls them: with one request in flight that costs a quarter of
// all CPU time. The raw calls of Linux do not; until they return the goroutine keeps its processor,
// which bounds what they may be given.
//
// So a raw call must never block, or the whole process stands still. That does not rest on
// O_NONBLOCK, which belongs to the socket and not to us: Fd of the os.File that File of a net.Conn
// returns may clear it, and so may every program that has inherited the socket. Each call says
// MSG_DONTWAIT instead. A descriptor that is no socket does not know that flag; it is read and
// written by package syscall.
// On other systems of Unix, where all calls are those of package syscall, a descriptor that blocks
// keeps a thread and no more.
package socket
