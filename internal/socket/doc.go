// Package socket reads and writes stream sockets of package net by their descriptor, within a
// callback of [syscall.RawConn].
//
// A read or write that does not wait is over in a few microseconds. syscall.Read and Write
// nevertheless prepare for one that blocks, and wake the runtime's monitor from its sleep each time
// that a process with little to do calls them: with one request in flight that costs a quarter of
// all CPU time. The raw calls of Linux do not; until they return the goroutine keeps its processor,
// which bounds what they may be given.
//
// So a raw call must never block, or the whole process stands still. That does not rest on
// O_NONBLOCK, which belongs to the socket and not to us: File and Fd of a net.Conn, and every
// program that has inherited the socket, clear it. Each call says MSG_DONTWAIT instead. A
// descriptor that is no socket does not know that flag; it is read and written by package syscall.
//
// Package syscall tells the race detector that a read comes after the write at the other end, and
// what memory the kernel reads and writes. Raw calls do the same in a build with -race.
//
// On other systems the calls are those of package syscall, where a descriptor that blocks keeps a
// thread and no more, and where descriptors are not those of Unix there are none.
package socket
