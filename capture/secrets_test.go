package capture

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// secretsBlock is a Decryption Secrets Block with a key log of a length that may be a lie.
func secretsBlock(claimed int, log string) []byte {
	le := binary.LittleEndian
	size := uint32(claimed+3)&^3 + 20
	b := le.AppendUint32(le.AppendUint32(nil, blockSecrets), size)
	b = le.AppendUint32(le.AppendUint32(b, secretsTLS), uint32(claimed))
	b = append(b, log...)
	if len(log) < claimed {
		return b
	}
	return le.AppendUint32(append(b, make([]byte, -len(log)&3)...), size)
}

// The key logs of a file are read in pieces of whole lines, up to where the file ends.
func TestScanSecrets(t *testing.T) {
	log := ""
	for i := range 10_000 {
		log += "line " + strings.Repeat("x", i%97) + "\n"
	}
	long := strings.Repeat("y", 2*maxLogPiece) + "\nz\n"
	foreign := secretsBlock(4, "abc\n")
	foreign[8]++ // secrets of another kind
	wrong := secretsBlock(4, "abc\n")
	wrong[12] += 4 // longer than the block
	for _, tt := range []struct {
		name   string
		blocks [][]byte
		want   string
	}{
		{
			"several",
			[][]byte{secretsBlock(6, "a\nb\nc\n"), secretsBlock(1, "d"), secretsBlock(0, ""), secretsBlock(2, "e\n")},
			"a\nb\nc\nde\n",
		},
		{"in pieces", [][]byte{secretsBlock(len(log), log), secretsBlock(2, "e\n")}, log + "e\n"},
		{"long line", [][]byte{secretsBlock(len(long), long)}, long},
		{"others", [][]byte{foreign, wrong, secretsBlock(2, "e\n")}, "e\n"},
		{"cut", [][]byte{secretsBlock(2, "e\n"), secretsBlock(1<<30, "f\ng")}, "e\nf\ng"},
		{"none of it", [][]byte{secretsBlock(1<<30, "")}, ""},
	} {
		file := append(newCaptureFile().pcapng(nil, -1), bytes.Join(tt.blocks, nil)...)
		var got strings.Builder
		scanSecrets(bytes.NewReader(file), func(piece []byte) {
			if len(piece) > maxLogPiece {
				t.Errorf("%s: a piece of %d octets", tt.name, len(piece))
			}
			if n := len(piece); piece[n-1] != '\n' && n > 3 && n < maxLogPiece {
				t.Errorf("%s: a piece of %d octets ends within a line", tt.name, n)
			}
			got.Write(piece)
		})
		if diff := cmp.Diff(tt.want, got.String()); diff != "" {
			t.Errorf("%s (-want +got)\n%.2000s", tt.name, diff)
		}
	}
}

// A block takes no memory for octets that are not there.
func TestScanSecretsMemory(t *testing.T) {
	for _, claimed := range []int{64<<20 - 20, 1 << 30} {
		file := append(newCaptureFile().pcapng(nil, -1), secretsBlock(claimed, "a\n")...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		scanSecrets(bytes.NewReader(file), func([]byte) {})
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 2<<20 {
			t.Errorf("a block that claims %d octets takes %d", claimed, n)
		}
	}
}
