//go:build !linux

package vigil

import (
	"errors"
	"syscall"
)

func begin(Sleeper) (Vigil, error)      { return 0, errors.ErrUnsupported }
func (Vigil) arm(syscall.RawConn) error { return errOver }
func (Vigil) end()                      {}
func (Vigil) leave(syscall.RawConn)     {}
