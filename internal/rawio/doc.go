// Package rawio reads and writes sockets of package net by their descriptor, within a callback of [syscall.RawConn].
//
// These sockets do not block, so a read or write is over in a few microseconds. syscall.Read and Write nevertheless prepare
// for one that blocks, and wake the runtime's monitor from its sleep each time that a process with little to do calls them:
// with one request in flight that costs a quarter of all CPU time. The raw calls of Linux do not; until they return the
// goroutine keeps its processor, which bounds what they may be given. On other systems the calls are those of package
// syscall, and where descriptors are not those of Unix there are none.
package rawio
