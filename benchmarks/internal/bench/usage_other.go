//go:build !linux

package bench

import (
	"errors"
	"os"
	"time"
)

var errLinux = errors.New("what a process uses is only known on Linux here")

// CPUOf returns an error: see the package's limitations.
func CPUOf(int) (time.Duration, error) { return 0, errLinux }

// CallsOf returns zeros: see the package's limitations.
func CallsOf(int) (reads, writes int64) { return 0, 0 }

// MemoryOf returns an error: see the package's limitations.
func MemoryOf(int) (int64, error) { return 0, errLinux }

// RaiseFiles returns an error: see the package's limitations.
func RaiseFiles() error { return errLinux }

func tree(pid int) []int { return []int{pid} }

// PeakOf returns 0: the memory is not known here.
func PeakOf(*os.ProcessState) int64 { return 0 }
