package capture

import (
	"bufio"
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
	maxSecrets    = 64 << 20 // octets of a block
	blockHeader   = 8        // type and length
	secretsHeader = 8        // type and length of secrets
)

// scanSecrets calls f with each TLS key log in a pcapng file. What is no such file has none; errors
// are those that reading the packets will find again.
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
		if typ == blockSecrets && size <= maxSecrets {
			if !readSecrets(br, order, int(size), f) {
				return
			}
		} else if n, err := br.Discard(int(size)); err != nil || n < int(size) {
			return
		}
	}
}

// readSecrets reads a Decryption Secrets Block, and reports whether it is whole.
func readSecrets(br *bufio.Reader, order binary.ByteOrder, size int, f func(log []byte)) bool {
	block := make([]byte, size)
	if _, err := io.ReadFull(br, block); err != nil {
		return false
	}
	body := block[blockHeader : size-4]
	if len(body) < secretsHeader {
		return true
	}
	log := body[secretsHeader:]
	if n := order.Uint32(body[4:]); order.Uint32(body) == secretsTLS && uint64(n) <= uint64(len(log)) {
		f(log[:n])
	}
	return true
}
