package server

// stackSize is about what a worker needs from its first frame to the socket, without much of the
// handler's.
const stackSize = 5 << 10

// growStack makes the stack of a fresh goroutine large enough in one step, while there is next to
// nothing on it that must be moved. Growing as it is used, 2 KiB to 4 to 8, takes longer than a
// small request does.
//
//go:noinline
func growStack(i int) byte {
	var frame [stackSize]byte
	return frame[i]
}
