//go:build !linux

package socket

// CanWritev is false: on this system there is no VectorWriter.
const CanWritev = false

// A VectorWriter does not exist on this system: NewVectorWriter returns nil.
type VectorWriter struct{}

// NewVectorWriter returns nil.
func NewVectorWriter(*Socket, Pieces) *VectorWriter { return nil }

// TryWrite is never called.
func (*VectorWriter) TryWrite() error { panic("BUG: there is no VectorWriter on this system") }

// Write is never called.
func (*VectorWriter) Write() error { panic("BUG: there is no VectorWriter on this system") }
