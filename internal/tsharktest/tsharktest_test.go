package tsharktest

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A record of TLS from a port that tshark knows as EtherCAT's is one of TLS.
func TestArgs(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark must be there in CI:", err)
		}
		t.Skip("tshark is not installed")
	}
	b := binary.BigEndian
	record := append([]byte{0x17, 3, 3, 0, 32}, make([]byte, 32)...)
	packet := append([]byte{0x45, 0}, make([]byte, 38)...) // the headers of IPv4 and TCP
	b.PutUint16(packet[2:], uint16(len(packet)+len(record)))
	packet[8], packet[9] = 64, 6
	copy(packet[12:], []byte{127, 0, 0, 1, 127, 0, 0, 1})
	b.PutUint16(packet[20:], 34980)
	b.PutUint16(packet[22:], 40000)
	packet[32], packet[33] = 5<<4, 0x18
	packet = append(packet, record...)
	file := []byte{
		0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 101, // raw IP
		0, 0, 0, 1, 0, 0, 0, 0,
	}
	file = b.AppendUint32(b.AppendUint32(file, uint32(len(packet))), uint32(len(packet)))
	name := filepath.Join(t.TempDir(), "port.pcap")
	if err := os.WriteFile(name, append(file, packet...), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tshark", append(Args(t), "-r", name)...).Output()
	if err != nil || !strings.Contains(string(out), "TLSv1.2") {
		t.Errorf("tshark: %v\n%s", err, out)
	}
}
