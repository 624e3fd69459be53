//go:build !linux

package idlepoll

import (
	"errors"

	"github.com/sluice-go/sluice/internal/socket"
)

func newWatch(Waiter) (Watch, error)   { return 0, errors.ErrUnsupported }
func (Watch) arm(*socket.Socket) error { return errEnded }
func (Watch) cancel()                  {}
func (Watch) remove(*socket.Socket)    {}
