package tlsrecord

import (
	"crypto"
	_ "crypto/sha1"   // the MAC of old suites
	_ "crypto/sha256" // the hash of suites
	_ "crypto/sha512"
)

// A cipherKind is the way that records are protected.
type cipherKind uint8

const (
	aesGCM cipherKind = iota
	chacha
	aesCBC // with HMAC
)

func (k cipherKind) String() string {
	return [...]string{"AES-GCM", "ChaCha20-Poly1305", "AES-CBC"}[k]
}

// A suite is what decryption needs of a cipher suite: how keys were agreed on does not matter.
type suite struct {
	id   uint16
	kind cipherKind
	key  int         // octets of the key
	hash crypto.Hash // of the PRF or of HKDF
	mac  crypto.Hash // of AES-CBC
}

// suites13 are those of TLS 1.3 (RFC 8446 §B.4).
var suites13 = []suite{
	{id: 0x1301, kind: aesGCM, key: 16, hash: crypto.SHA256},
	{id: 0x1302, kind: aesGCM, key: 32, hash: crypto.SHA384},
	{id: 0x1303, kind: chacha, key: 32, hash: crypto.SHA256},
}

// families12 are the suites of TLS 1.2: RSA, DH, DHE, ECDH, ECDHE and PSK with RSA, DSS, ECDSA or
// nothing (RFC 5246, 5288, 5289, 5487, 7905, 8442).
var families12 = []struct {
	suite
	ids []uint16
}{
	{suite{kind: aesGCM, key: 16, hash: crypto.SHA256}, []uint16{
		0x009c, 0x009e, 0x00a0, 0x00a2, 0x00a4, 0x00a6, 0x00a8, 0x00aa, 0x00ac,
		0xc02b, 0xc02d, 0xc02f, 0xc031, 0xd001,
	}},
	{suite{kind: aesGCM, key: 32, hash: crypto.SHA384}, []uint16{
		0x009d, 0x009f, 0x00a1, 0x00a3, 0x00a5, 0x00a7, 0x00a9, 0x00ab, 0x00ad,
		0xc02c, 0xc02e, 0xc030, 0xc032, 0xd002,
	}},
	{suite{kind: chacha, key: 32, hash: crypto.SHA256}, []uint16{
		0xcca8, 0xcca9, 0xccaa, 0xccab, 0xccac, 0xccad, 0xccae,
	}},
	{suite{kind: aesCBC, key: 16, hash: crypto.SHA256, mac: crypto.SHA1}, []uint16{
		0x002f, 0x0030, 0x0031, 0x0032, 0x0033, 0x0034, 0x008c, 0x0090, 0x0094,
		0xc004, 0xc009, 0xc00e, 0xc013, 0xc018, 0xc035,
	}},
	{suite{kind: aesCBC, key: 32, hash: crypto.SHA256, mac: crypto.SHA1}, []uint16{
		0x0035, 0x0036, 0x0037, 0x0038, 0x0039, 0x003a, 0x008d, 0x0091, 0x0095,
		0xc005, 0xc00a, 0xc00f, 0xc014, 0xc019, 0xc036,
	}},
	{suite{kind: aesCBC, key: 16, hash: crypto.SHA256, mac: crypto.SHA256}, []uint16{
		0x003c, 0x003e, 0x003f, 0x0040, 0x0067, 0x006c, 0x00ae, 0x00b2, 0x00b6,
		0xc023, 0xc025, 0xc027, 0xc029, 0xc037,
	}},
	{suite{kind: aesCBC, key: 32, hash: crypto.SHA256, mac: crypto.SHA256}, []uint16{
		0x003d, 0x0068, 0x0069, 0x006a, 0x006b, 0x006d,
	}},
	{suite{kind: aesCBC, key: 32, hash: crypto.SHA384, mac: crypto.SHA384}, []uint16{
		0x00af, 0x00b3, 0x00b7, 0xc024, 0xc026, 0xc028, 0xc02a, 0xc038,
	}},
}

// findSuite returns a cipher suite of a version, or nil where it is not one that is decrypted.
func findSuite(version, id uint16) *suite {
	if version == version13 {
		for i := range suites13 {
			if suites13[i].id == id {
				return &suites13[i]
			}
		}
		return nil
	}
	for _, family := range families12 {
		for _, has := range family.ids {
			if has == id {
				s := family.suite
				s.id = id
				return &s
			}
		}
	}
	return nil
}
