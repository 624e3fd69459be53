package core

import (
	"math/bits"
	"testing"
	"unsafe"
)

// What every connection holds as long as it is there fits the allocator's size classes; of more
// than 512 octets 8 are the allocator's own.
func TestSize(t *testing.T) {
	if bits.UintSize != 64 {
		t.Skip("the size classes are those of 64-bit systems, where pointers take twice as much")
	}
	if size := unsafe.Sizeof(Conn{}); size > 1528 {
		t.Errorf("a Conn has %d octets, more than 1528", size)
	}
}
