package bench

import (
	"fmt"
	"syscall"
)

// RaiseFiles lets this process, and those that it starts, have as many files
// open as the system permits.
func RaiseFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("getrlimit: %w", err)
	}
	// Go does this at the start of a program, but undoes it for children unless the program does
	// it, too.
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("setrlimit: %w", err)
	}
	return nil
}
