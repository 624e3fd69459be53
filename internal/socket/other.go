//go:build !unix

package socket

import "sync"

// A Reader does not exist on this system: NewReader returns nil.
type Reader struct{}

// NewReader returns nil.
func NewReader(*Socket) *Reader { return nil }

// Read is never called.
func (*Reader) Read([]byte) (int, error) { panic("BUG: there is no Reader on this system") }

// ReadPooled is never called.
func (*Reader) ReadPooled(*sync.Pool) (*[]byte, int, error) {
	panic("BUG: there is no Reader on this system")
}

// A Writer does not exist on this system: NewWriter returns nil.
type Writer struct{}

// NewWriter returns nil.
func NewWriter(*Socket) *Writer { return nil }

// TryWrite is never called.
func (*Writer) TryWrite([]byte) (int, error) { panic("BUG: there is no Writer on this system") }

// Write is never called.
func (*Writer) Write([]byte) (int, error) { panic("BUG: there is no Writer on this system") }

// Drain does nothing on this system.
func (s *Socket) Drain(int) {}

// AwaitReset does not wait on this system: it returns nil.
func (s *Socket) AwaitReset() error { return nil }

// Disconnected returns false: it is not known on this system.
func (s *Socket) Disconnected() bool { return false }
