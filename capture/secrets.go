package capture

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
)

// Of pcapng: types of blocks, and the type of secrets that a Decryption Secrets Block has.
const (
	blockSection  = 0x0a0d0d0a
	blockSecrets  = 0x0000000a
	secretsTLS    = 0x544c534b
	byteOrder     = 0x1a2b3c4d
	blockHeader   = 8         // type and length
	secretsHeader = 8         // type and length of secrets
	maxLogPiece   = 128 << 10 // octets of a key log that are in memory at once
)

// scanSecrets calls f with the TLS key logs in a pcapng file, in pieces of whole lines, each valid
// until f returns. What is no such file has none; errors are those that reading the packets
// will find again.
func scanSecrets(r io.Reader, f func(log []byte)) {
	br := bufio.NewReaderSize(r, 1<<20)
	if head, err := br.Peek(2); err == nil && head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(br)
		if err != nil {
			return
		}
		br = bufio.NewReaderSize(z, 1<<20)
	}
	if head, err := br.Peek(4); err != nil || binary.BigEndian.Uint32(head) != blockSection {
		return
	}
	var order binary.ByteOrder = binary.LittleEndian
	for {
		head, err := br.Peek(blockHeader + 4)
		if err != nil {
			return
		}
		typ := order.Uint32(head)
		if binary.BigEndian.Uint32(head) == blockSection { // the same in both orders
			typ = blockSection
			if order = binary.LittleEndian; binary.BigEndian.Uint32(head[blockHeader:]) == byteOrder {
				order = binary.BigEndian
			}
		}
		size := order.Uint32(head[4:])
		if size < blockHeader+4 || size%4 != 0 {
			return
		}
		rest := int(size)
		if typ == blockSecrets {
			rest -= readSecrets(br, order, rest, f)
		}
		if _, err := br.Discard(rest); err != nil {
			return
		}
	}
}

// readSecrets reads what there is of the secrets of a Decryption Secrets Block, and returns how
// many octets of the block it has taken.
func readSecrets(br *bufio.Reader, order binary.ByteOrder, size int, f func(log []byte)) int {
	const header = blockHeader + secretsHeader
	head, err := br.Peek(header)
	if err != nil || size < header+4 || order.Uint32(head[blockHeader:]) != secretsTLS {
		return 0
	}
	n := int64(order.Uint32(head[blockHeader+4:]))
	if n > int64(size)-header-4 {
		return 0
	}
	taken, _ := br.Discard(header)
	log := &io.LimitedReader{R: br, N: n}
	readKeyLog(log, min(n, maxLogPiece), f)
	return taken + int(n-log.N)
}

// readKeyLog calls f with pieces of up to so many octets, which end where lines do, but for lines
// that are longer, and for the last one.
func readKeyLog(r io.Reader, most int64, f func(lines []byte)) {
	buf := make([]byte, 0, most)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		whole := bytes.LastIndexByte(buf, '\n') + 1
		if err != nil || whole == 0 && len(buf) == cap(buf) {
			whole = len(buf)
		}
		if whole > 0 {
			f(buf[:whole])
			buf = buf[:copy(buf, buf[whole:])]
		}
		if err != nil {
			return
		}
	}
}
