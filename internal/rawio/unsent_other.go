//go:build !linux

package rawio

import "syscall"

// Unsent is not known on this system.
func Unsent(syscall.RawConn) (n int, ok bool) { return 0, false }
