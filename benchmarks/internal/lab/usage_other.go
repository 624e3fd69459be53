//go:build !linux

package lab

import (
	"errors"
	"time"
)

// Use returns an error: see the package's limitations.
func Use() (Usage, error) {
	return Usage{}, errors.New("the CPU time of a process is only known on Linux here")
}

// CPUOf returns an error: see the package's limitations.
func CPUOf(int) (time.Duration, error) {
	return 0, errors.New("the CPU time of a process is only known on Linux here")
}
