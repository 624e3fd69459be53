package tlsrecord

import (
	"crypto"
	"crypto/hkdf"
	"crypto/hmac"
	"fmt"
)

// A key decrypts records of a direction.
type key struct {
	opener
	suite  *suite
	stage  stage
	secret []byte // of TLS 1.3
	update int    // KeyUpdates before it
}

// newKey13 returns the key of a traffic secret (RFC 8446 §7.3).
func newKey13(s *suite, secret []byte) *key {
	k := expandLabel(s.hash, secret, "key", s.key)
	iv := expandLabel(s.hash, secret, "iv", 12)
	return &key{opener: newAEAD(s, version13, k, iv), suite: s, secret: secret}
}

// updated is the secret after a KeyUpdate (RFC 8446 §7.2).
func (k *key) updated() []byte {
	return expandLabel(k.suite.hash, k.secret, "traffic upd", k.suite.hash.Size())
}

// expandLabel is HKDF-Expand-Label with an empty context (RFC 8446 §7.1).
func expandLabel(h crypto.Hash, secret []byte, label string, n int) []byte {
	label = "tls13 " + label
	info := append([]byte{byte(n >> 8), byte(n), byte(len(label))}, label...)
	out, err := hkdf.Expand(h.New, secret, string(append(info, 0)), n)
	if err != nil {
		panic(fmt.Sprintf("BUG: HKDF of %d octets from %d: %v", n, len(secret), err))
	}
	return out
}

// keys12 returns the keys of client and server for a master secret (RFC 5246 §6.3).
func keys12(s *suite, master []byte, client, server random, encryptThenMAC bool) [2]*key {
	var mac, iv int
	switch s.kind {
	case aesGCM:
		iv = 4
	case chacha:
		iv = 12
	case aesCBC:
		mac = s.mac.Size()
	}
	seed := append([]byte("key expansion"), server[:]...)
	block := reader{p: prf(s.hash, master, append(seed, client[:]...), 2*(mac+s.key+iv))}
	var parts [3][2][]byte
	for i, n := range []int{mac, s.key, iv} {
		parts[i] = [2][]byte{block.next(n), block.next(n)}
	}
	var out [2]*key
	for d := range out {
		out[d] = &key{suite: s, stage: stageData}
		if s.kind == aesCBC {
			out[d].opener = newCBC(s, parts[1][d], parts[0][d], encryptThenMAC)
		} else {
			out[d].opener = newAEAD(s, version12, parts[1][d], parts[2][d])
		}
	}
	return out
}

// prf is P_hash of n octets (RFC 5246 §5); seed has the label.
func prf(h crypto.Hash, secret, seed []byte, n int) []byte {
	mac := hmac.New(h.New, secret)
	sum := func(p ...[]byte) []byte {
		mac.Reset()
		for _, p := range p {
			mac.Write(p)
		}
		return mac.Sum(nil)
	}
	var out []byte
	for a := sum(seed); len(out) < n; a = sum(a) {
		out = append(out, sum(a, seed)...)
	}
	return out[:n]
}
