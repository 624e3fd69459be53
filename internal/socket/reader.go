package socket

// Memory is what a Reader reads into. Both methods are called by the goroutine that reads, within
// a call of ReadInto.
type Memory interface {
	// Take returns memory, which is not empty.
	Take() []byte
	// GiveBack is called for the memory of the last call of Take when nothing was read into it.
	GiveBack()
}
