package socket

// Pieces is what a VectorWriter writes: slices that stand in an order. TryWrite and Write call both
// methods on the goroutine of their caller: Unwritten before each system call, and Wrote after it.
type Pieces interface {
	// Unwritten calls piece for each slice that is left to write, in order. None is empty, and their
	// memory must not change until Wrote is called.
	Unwritten(piece func(p []byte))
	// Wrote records that n more octets are written, and reports whether any are left.
	Wrote(n int) (left bool)
}
