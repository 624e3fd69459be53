package conn

import (
	"math/bits"
	"testing"
	"unsafe"
)

// What every connection holds as long as it is there fits the allocator's size class of 768 octets,
// of which 8 are the allocator's own: the next one is an eighth larger.
func TestSize(t *testing.T) {
	if bits.UintSize != 64 {
		t.Skip("the size classes are those of 64-bit systems, where pointers take twice as much")
	}
	if size := unsafe.Sizeof(Conn{}); size > 760 {
		t.Errorf("a Conn has %d octets, more than 760", size)
	}
}
