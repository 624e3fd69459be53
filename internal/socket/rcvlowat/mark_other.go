//go:build !linux

package rcvlowat

import "github.com/sluice-go/sluice/internal/socket"

// New returns nil: sockets of other systems are woken for what comes.
func New(*socket.Socket) *Mark { return nil }
