package server

// stackSize is about what a worker needs from its first frame to the socket, without much of the
// handler's.
const stackSize = 5 << 10

// growStack makes the stack of a new goroutine large enough in one step, while there is next to
// nothing on it that must be moved. If it grew as it is used, from 2 KiB to 4 to 8, that would take
// longer than a small request.
//
//go:noinline
func growStack(i int) byte {
	var frame [stackSize]byte
	return frame[i]
}
