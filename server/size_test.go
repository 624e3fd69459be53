package server

import (
	"math/bits"
	"testing"
	"unsafe"
)

// What every connection holds as long as it is there fits the allocator's size class of 256 octets.
func TestSize(t *testing.T) {
	if bits.UintSize != 64 {
		t.Skip("the size classes are those of 64-bit systems, where pointers take twice as much")
	}
	if size := unsafe.Sizeof(serverConn{}); size > 256 {
		t.Errorf("a serverConn has %d octets, more than 256", size)
	}
}
