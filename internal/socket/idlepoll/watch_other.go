//go:build !linux

package idlepoll

import (
	"errors"

	"github.com/sluice-go/sluice/internal/socket"
)

func begin(Sleeper) (Vigil, error)     { return 0, errors.ErrUnsupported }
func (Vigil) arm(*socket.Socket) error { return errOver }
func (Vigil) end()                     {}
func (Vigil) leave(*socket.Socket)     {}
