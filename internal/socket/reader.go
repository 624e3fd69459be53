package socket

// Memory has the buffer of a Reader. ReadInto calls both methods on the goroutine of its caller.
type Memory interface {
	// Take returns a buffer, which is not empty, to read into.
	Take() []byte
	// GiveBack takes back the buffer of the last call of Take, into which nothing was read.
	GiveBack()
}
