//go:build amd64 || arm64

package goroutine

import "unsafe"

// getg returns the runtime's struct of the calling goroutine.
func getg() unsafe.Pointer
