package socket

// Pieces is what a VectorWriter writes. Both methods are called by the goroutine that writes, in
// turns, within a call of TryWrite or Write.
type Pieces interface {
	// Unwritten calls piece for each part that is left to write, in order. None is empty, and their
	// memory stays as it is until Wrote is called.
	Unwritten(piece func(p []byte))
	// Wrote is told how many octets more are written, and reports whether any are left.
	Wrote(n int) (left bool)
}
