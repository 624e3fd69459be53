//go:build !linux

package baseline

import (
	"errors"

	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
)

var errLinux = errors.New("the system calls are those of Linux")

// NewServer returns an error: see the package's limitations.
func NewServer(peerserver.Spec) (peerserver.Server, error) { return peerserver.Server{}, errLinux }

// A Client cannot be had: see the package's limitations.
type Client struct{}

// Dial returns an error: see the package's limitations.
func Dial(string) (*Client, error) { return nil, errLinux }

// Do returns an error: see the package's limitations.
func (*Client) Do(int, int, int64) error { return errLinux }
