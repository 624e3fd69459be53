//go:build !unix || aix || solaris

package conn

import "syscall"

// canLook is false: here requests do not read for themselves.
const canLook = false

func peek(syscall.RawConn) bool { return false }
