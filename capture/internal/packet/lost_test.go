package packet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
)

// A source that is lost, as a connection may be, is no end of the file, though its error wraps
// io.EOF: neither between two packets nor within one.
func TestLostSource(t *testing.T) {
	for name, file := range map[string][]byte{
		"pcap":   pcapOf(t, 1, ethernet(0x800, ipv4(6, tcp("one"))), ethernet(0x800, ipv4(6, tcp("two")))),
		"pcapng": pcapngOf(t, 1, ethernet(0x800, ipv4(6, tcp("one"))), ethernet(0x800, ipv4(6, tcp("two")))),
	} {
		for _, cut := range []int{0, 1, 10, 30} {
			for _, lost := range []error{fmt.Errorf("lost: %w", io.EOF), fmt.Errorf("lost: %w", io.ErrUnexpectedEOF)} {
				from := io.MultiReader(bytes.NewReader(file[:len(file)-cut]), iotest.ErrReader(lost))
				r, err := NewReader(from, Options{})
				if err != nil {
					t.Fatal(err)
				}
				for err == nil {
					_, err = r.Next()
				}
				var truncated *TruncatedError
				if err == io.EOF || errors.As(err, &truncated) || !errors.Is(err, lost) {
					t.Errorf("%s without %d octets, %v: %v", name, cut, lost, err)
				}
			}
		}
	}
}
