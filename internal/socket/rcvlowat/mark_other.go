//go:build !linux

package rcvlowat

import "github.com/sluice-go/sluice/internal/socket"

// New returns nil: on this system readers wake for each packet.
func New(*socket.Socket) *Mark { return nil }
