package tlsrecord

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"errors"
	"fmt"
	"hash"
)

var errMAC = errors.New("the MAC is wrong")

// cbc opens records of AES-CBC with HMAC (RFC 5246 §6.2.3.2). Nothing here takes constant time:
// there is no peer to learn from it.
type cbc struct {
	block          cipher.Block
	mac            hash.Hash
	encryptThenMAC bool // RFC 7366
	data           [13]byte
	sum            [64]byte
}

// newCBC returns the opener of a suite that is aesCBC.
func newCBC(s *suite, key, macKey []byte, encryptThenMAC bool) *cbc {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(fmt.Sprintf("BUG: a key of %d octets for %v: %v", len(key), s.kind, err))
	}
	return &cbc{block: block, mac: hmac.New(s.mac.New, macKey), encryptThenMAC: encryptThenMAC}
}

func (*cbc) overhead() int { return -1 }

func (c *cbc) open(dst []byte, seq uint64, record []byte) ([]byte, error) {
	body := record[headerSize:]
	if c.encryptThenMAC {
		n := len(body) - c.mac.Size()
		if n < 0 || !c.authentic(seq, record, body[:n], body[n:]) {
			return nil, errMAC
		}
		body = body[:n]
	}
	if len(body) < 2*aes.BlockSize || len(body)%aes.BlockSize != 0 {
		return nil, errShort
	}
	start := len(dst)
	dst = append(dst, body[aes.BlockSize:]...)
	plain := dst[start:]
	cipher.NewCBCDecrypter(c.block, body[:aes.BlockSize]).CryptBlocks(plain, plain)

	padding := int(plain[len(plain)-1]) + 1
	if padding > len(plain) {
		return nil, errMAC
	}
	plain = plain[:len(plain)-padding]
	if !c.encryptThenMAC {
		n := len(plain) - c.mac.Size()
		if n < 0 || !c.authentic(seq, record, plain[:n], plain[n:]) {
			return nil, errMAC
		}
		plain = plain[:n]
	}
	return dst[:start+len(plain)], nil
}

// authentic reports whether tag is the MAC of what is protected.
func (c *cbc) authentic(seq uint64, record, protected, tag []byte) bool {
	putPseudoHeader(&c.data, seq, record, len(protected))
	c.mac.Reset()
	c.mac.Write(c.data[:])
	c.mac.Write(protected)
	return hmac.Equal(c.mac.Sum(c.sum[:0]), tag)
}
