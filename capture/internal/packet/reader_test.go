package packet

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"
)

// pcap is a file with one packet, of which some was captured.
func pcap(order binary.AppendByteOrder, nanos bool, link, snap uint32, length int, p []byte) []byte {
	magic, unit := uint32(0xa1b2c3d4), 1000
	if nanos {
		magic, unit = 0xa1b23c4d, 1
	}
	w := &ng{order: order}
	version := order.AppendUint16(order.AppendUint16(nil, 2), 4)
	return cat(w.nums(magic), version, w.nums(0, 0, snap, link),
		w.nums(uint32(epoch.Unix()), uint32(epoch.Nanosecond()/unit), uint32(len(p)), uint32(length)), p)
}

// zipped is a file compressed with gzip.
func zipped(t *testing.T, file []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(file); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFormats(t *testing.T) {
	p := ipv4(6, tcp(hello))
	raw := uint32(layers.LinkTypeRaw)
	w := &ng{order: binary.BigEndian}
	w.section()
	w.iface(layers.LinkTypeRaw, 0)
	w.packet(0, uint64(epoch.UnixMicro()), len(p), p)
	for name, file := range map[string][]byte{
		"pcap, little endian":              pcap(binary.LittleEndian, false, raw, 1<<18, len(p), p),
		"pcap, big endian":                 pcap(binary.BigEndian, false, raw, 1<<18, len(p), p),
		"nanoseconds, little endian":       pcap(binary.LittleEndian, true, raw, 1<<18, len(p), p),
		"nanoseconds, big endian":          pcap(binary.BigEndian, true, raw, 1<<18, len(p), p),
		"the length of FCS":                pcap(binary.LittleEndian, true, 0x24000000|raw, 1<<18, len(p), p),
		"longer than the snap length":      pcap(binary.LittleEndian, true, raw, 10, len(p), p),
		"no snap length":                   pcap(binary.LittleEndian, true, raw, 0, len(p), p),
		"snap length of 4 GiB":             pcap(binary.LittleEndian, true, raw, 0xffffffff, len(p), p),
		"more was captured than there was": pcap(binary.LittleEndian, true, raw, 1<<18, 10, p),
		"pcapng":                           w.file,
	} {
		for form, file := range map[string][]byte{"plain": file, "gzip": zipped(t, file)} {
			t.Run(name+", "+form, func(t *testing.T) {
				segs, stats, err := read(t, file)
				if d := diff([]Segment{want(false)}, segs); d != "" || !errors.Is(err, io.EOF) {
					t.Errorf("%v; %+v; -want +got\n%s", err, stats, d)
				}
			})
		}
	}
}

func TestNotACapture(t *testing.T) {
	for _, test := range []struct{ name, file, want string }{
		{"empty", "", "the capture is empty"},
		{"short", "\xd4\xc3", "it has 2 octets"},
		{"text", "GET / HTTP/1.1\r\n", "it begins with the octets 47 45 54 20"},
		{"modified pcap", "\x34\xcd\xb2\xa1", "editcap -F pcap"},
		{"gzip, damaged", "\x1f\x8b\x08\x00", "begins as gzip does"},
		{"pcap, no header", "\xd4\xc3\xb2\xa1\x02\x00", "the header of the pcap file cannot be read"},
		{"pcap of version 3", "\xd4\xc3\xb2\xa1\x03\x00\x04\x00" + strings.Repeat("\x00", 16), "version 3"},
		{"pcapng, no section", "\x0a\x0d\x0d\x0a\x1c\x00\x00\x00", "the first section"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewReader(strings.NewReader(test.file), Options{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v: that is not %q", err, test.want)
			}
		})
	}
	broken := errors.New("the disk is broken")
	if _, err := NewReader(iotest.ErrReader(broken), Options{}); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// TestTruncated cuts files at every octet: what is before the cut is returned, and whether the file
// ends between packets or within one is told.
func TestTruncated(t *testing.T) {
	v4 := ipv4(6, tcp(hello))
	w := &ng{order: binary.LittleEndian}
	w.section()
	ends := map[string]map[int]int{"pcap": {24: 0}, "pcapng": {len(w.file): 0}} // by length: packets before
	w.iface(layers.LinkTypeRaw, 0)
	ends["pcapng"][len(w.file)] = 0
	for i := range 3 {
		w.packet(0, 0, len(v4), v4)
		ends["pcapng"][len(w.file)] = i + 1
		ends["pcap"][24+(i+1)*(16+len(v4))] = i + 1
	}
	for name, file := range map[string][]byte{
		"pcap": pcapOf(t, layers.LinkTypeRaw, v4, v4, v4), "pcapng": w.file,
	} {
		whole := 0
		for n := range len(file) + 1 {
			r, err := NewReader(iotest.OneByteReader(bytes.NewReader(file[:n])), Options{})
			if err != nil {
				continue // its beginning is not there
			}
			got := 0
			for err == nil {
				if _, err = r.Next(); err == nil {
					got++
				}
			}
			packets, between := ends[name][n]
			if between {
				whole = packets
			}
			var truncated *TruncatedError
			switch {
			case got < whole || got > whole+1: // all of a packet may be there, but not the end of its block
				t.Fatalf("%s: %d packets of %d octets, not %d", name, got, n, whole)
			case between && !errors.Is(err, io.EOF):
				t.Fatalf("%s: %v at %d octets, which is between packets", name, err, n)
			case !between && (!errors.As(err, &truncated) || truncated.Packets != uint64(got)):
				t.Fatalf("%s: %v at %d octets, within packet %d", name, err, n, got)
			}
		}
		if whole != 3 {
			t.Fatalf("%s: %d packets", name, whole)
		}
	}
}

func TestTruncatedGzip(t *testing.T) {
	v4 := ipv4(6, tcp(hello))
	for name, file := range map[string][]byte{
		"pcap":   pcapOf(t, layers.LinkTypeRaw, v4, v4, v4),
		"pcapng": pcapngOf(t, layers.LinkTypeRaw, v4, v4, v4),
	} {
		z := zipped(t, file)
		_, stats, err := read(t, z[:len(z)-9])
		var truncated *TruncatedError
		if !errors.As(err, &truncated) || stats.Segments < 2 {
			t.Errorf("%s: %v, %+v", name, err, stats)
		}
	}
}

func TestDamagedPcap(t *testing.T) {
	p := ipv4(6, tcp(hello))
	raw := uint32(layers.LinkTypeRaw)
	file := cat(pcap(binary.LittleEndian, true, raw, 1<<18, len(p), p), bytes.Repeat([]byte{0xff}, 1<<16))
	segs, _, err := read(t, file)
	const want = "behind packet 1: the next packet would have 4294967295 octets"
	if len(segs) != 1 || err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%d segments, then %v", len(segs), err)
	}
}

// TestLongPackets has packets as they are before segmentation offload.
func TestLongPackets(t *testing.T) {
	for _, n := range []int{65000, 200_000, 400_000, maxPacket - 100} {
		payload := strings.Repeat("x", n)
		v6 := ipv6(6, tcp(payload))
		v6[4], v6[5] = 0, 0 // the length of a jumbogram
		v4 := ipv4(6, tcp(payload))
		v4[2], v4[3] = 0, 0 // of TSO
		for _, file := range [][]byte{pcapOf(t, layers.LinkTypeRaw, v4, v6), pcapngOf(t, layers.LinkTypeRaw, v4, v6)} {
			segs, stats, err := read(t, file)
			if len(segs) != 2 || !errors.Is(err, io.EOF) {
				t.Fatalf("%d octets: %v, %+v", n, err, stats)
			}
			for _, s := range segs {
				if string(s.Payload) != payload || s.Cut != 0 {
					t.Errorf("%d octets, and %d cut off, of %d", len(s.Payload), s.Cut, n)
				}
			}
		}
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	packets := make([][]byte, 2000)
	for i := range packets {
		packets[i] = ethernet(0x0800, ipv4(6, tcp(hello)))
	}
	for name, file := range map[string][]byte{
		"pcap":   pcapOf(t, layers.LinkTypeEthernet, packets...),
		"pcapng": pcapngOf(t, layers.LinkTypeEthernet, packets...),
	} {
		r, err := NewReader(bytes.NewReader(file), Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := testing.AllocsPerRun(len(packets)-2, func() {
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
		})
		if got != 0 {
			t.Errorf("%s: %v allocations for each packet", name, got)
		}
	}
}

func TestUnknownLinkTypes(t *testing.T) {
	_, stats, _ := read(t, pcapOf(t, layers.LinkTypeLinuxUSB, []byte("usb"), []byte("usb")))
	want := Stats{Packets: 2, Unknown: 2, LinkTypes: map[LinkType]uint64{layers.LinkTypeLinuxUSB: 2}}
	if d := cmp.Diff(want, stats); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	w := &ng{order: binary.LittleEndian}
	w.section()
	for i := range 100 {
		w.iface(LinkType(1000+i), 0)
		w.packet(uint32(i), 0, 3, []byte("abc"))
	}
	if _, stats, _ = read(t, w.file); stats.Unknown != 100 || len(stats.LinkTypes) != maxLinkTypes {
		t.Errorf("%+v", stats)
	}
}
