//go:build unix

package rawio

import (
	"errors"
	"syscall"
)

// errnoOf returns the number of an error of package syscall.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	errors.As(err, &errno)
	return errno
}
