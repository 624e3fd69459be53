package packet

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"
)

func BenchmarkReader(b *testing.B) {
	for _, size := range []int{64, 1448, 65000} {
		p := ethernet(0x0800, ipv4(6, tcp(strings.Repeat("x", size))))
		packets := make([][]byte, max(16<<20/len(p), 1))
		for i := range packets {
			packets[i] = p
		}
		for format, make := range map[string]func(testing.TB, LinkType, ...[]byte) []byte{
			"pcap": pcapOf, "pcapng": pcapngOf,
		} {
			file := make(b, layers.LinkTypeEthernet, packets...)
			b.Run(fmt.Sprintf("%s/octets=%d", format, size), func(b *testing.B) {
				b.SetBytes(int64(len(file)))
				b.ReportAllocs()
				for b.Loop() {
					r, err := NewReader(bytes.NewReader(file), Options{})
					if err != nil {
						b.Fatal(err)
					}
					for err == nil {
						_, err = r.Next()
					}
					if n := r.Stats().Segments; n != uint64(len(packets)) {
						b.Fatalf("%d segments, not %d: %v", n, len(packets), err)
					}
				}
				b.ReportMetric(float64(b.N*len(packets))/b.Elapsed().Seconds()/1e6, "Mpackets/s")
			})
		}
	}
}
