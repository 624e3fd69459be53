package tlsrecord

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// An opener decrypts records with one key.
type opener interface {
	// open appends the plaintext of record, which has its header, to dst. It fails unless the
	// record is whole, authentic and has this sequence number. record is left as it is.
	open(dst []byte, seq uint64, record []byte) ([]byte, error)

	// overhead is the octets of a record, header and all, beyond those of its plaintext; -1 where
	// it is not the same for all records.
	overhead() int
}

var errShort = errors.New("the record is too short")

// aead opens records with authenticated encryption. Its arrays are fields so that a record
// allocates nothing.
type aead struct {
	cipher.AEAD
	version  uint16
	explicit bool // AES-GCM of TLS 1.2: records have 8 octets of the nonce (RFC 5288 §3)
	iv       [12]byte
	nonce    [12]byte
	data     [13]byte
}

// newAEAD returns the opener of a suite that is not aesCBC.
func newAEAD(s *suite, version uint16, key, iv []byte) *aead {
	a := &aead{version: version, explicit: version == version12 && s.kind == aesGCM}
	copy(a.iv[:], iv)
	var err error
	if s.kind == chacha {
		a.AEAD, err = chacha20poly1305.New(key)
	} else {
		var block cipher.Block
		if block, err = aes.NewCipher(key); err == nil {
			a.AEAD, err = cipher.NewGCM(block)
		}
	}
	if err != nil {
		panic(fmt.Sprintf("BUG: a key of %d octets for %v: %v", len(key), s.kind, err))
	}
	return a
}

func (a *aead) overhead() int {
	switch {
	case a.version == version13:
		return headerSize + 16 + 1 // with the type of the content
	case a.explicit:
		return headerSize + 8 + 16
	}
	return headerSize + 16
}

func (a *aead) open(dst []byte, seq uint64, record []byte) ([]byte, error) {
	if len(record) < a.overhead() {
		return nil, errShort
	}
	body := record[headerSize:]
	a.nonce = a.iv
	if a.explicit {
		copy(a.nonce[4:], body)
		body = body[8:]
	} else {
		tail := a.nonce[4:]
		binary.BigEndian.PutUint64(tail, binary.BigEndian.Uint64(tail)^seq)
	}
	data := a.data[:]
	if a.version == version13 {
		data = data[:copy(data, record[:headerSize])]
	} else {
		putPseudoHeader(&a.data, seq, record, len(body)-16)
	}
	return a.Open(dst, a.nonce[:], body, data)
}

// putPseudoHeader sets what TLS 1.2 authenticates beside a record of n octets of plaintext
// (RFC 5246 §6.2.3.3).
func putPseudoHeader(to *[13]byte, seq uint64, record []byte, n int) {
	binary.BigEndian.PutUint64(to[:], seq)
	copy(to[8:11], record)
	binary.BigEndian.PutUint16(to[11:], uint16(n))
}
