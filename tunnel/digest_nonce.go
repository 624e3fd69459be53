package tunnel

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"sync"
	"time"
)

const (
	nonceAge  = 5 * time.Minute
	maxNonces = 1 << 15 // that are in use; 100 B each
)

// nonces issues nonces for the Digest scheme and sees to it that each of their counts is used once.
// A nonce has its time, random octets, and an HMAC over both, so that one that was only issued
// needs no memory.
type nonces struct {
	once sync.Once
	key  [32]byte

	mu    sync.Mutex // guards what follows
	used  map[nonceID]*nonceUse
	floor int64 // nonces that were issued until then, in Unix nanoseconds, and are not in used, are stale
}

// nonceID is a nonce without its HMAC.
type nonceID [16]byte

func (id nonceID) issued() int64 { return int64(binary.BigEndian.Uint64(id[:])) }

// nonceUse has the counts of a nonce that were used: the highest, and which of the 64 below it.
type nonceUse struct {
	high uint32
	seen uint64 // bit i is high - i
}

func (n *nonces) mac(id nonceID) []byte {
	n.once.Do(func() { rand.Read(n.key[:]) })
	mac := hmac.New(sha256.New, n.key[:])
	mac.Write(id[:])
	return mac.Sum(nil)[:16]
}

// issue returns a new nonce.
func (n *nonces) issue(now time.Time) string {
	var id nonceID
	binary.BigEndian.PutUint64(id[:], uint64(now.UnixNano()))
	rand.Read(id[8:])
	return base64.RawURLEncoding.EncodeToString(append(id[:], n.mac(id)...))
}

// use reports whether the nonce is one of ours and not too old, and the count has not been used
// with it. It is called only with credentials that are right, so that nobody else can fill the
// memory.
func (n *nonces) use(now time.Time, nonce string, count uint32) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(b) != 32 {
		return false
	}
	id := nonceID(b)
	if !hmac.Equal(b[16:], n.mac(id)) {
		return false
	}
	oldest := now.Add(-nonceAge).UnixNano()
	if id.issued() < oldest {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	u := n.used[id]
	if u == nil {
		if id.issued() <= n.floor {
			return false
		}
		n.makeRoomLocked(oldest)
		if n.used == nil {
			n.used = make(map[nonceID]*nonceUse)
		}
		u = &nonceUse{}
		n.used[id] = u
	}
	return u.use(count)
}

// makeRoomLocked forgets the nonces from before oldest where there are too many, and if that does
// not do, a quarter of the others. What it forgets is stale from then on.
func (n *nonces) makeRoomLocked(oldest int64) {
	if len(n.used) < maxNonces {
		return
	}
	times := make([]int64, 0, len(n.used))
	for id := range n.used {
		times = append(times, id.issued())
	}
	slices.Sort(times)
	n.floor = max(n.floor, oldest-1, times[len(times)/4])
	for id := range n.used {
		if id.issued() <= n.floor {
			delete(n.used, id)
		}
	}
}

// use reports whether the count is new. Counts come in any order over HTTP/2.
func (u *nonceUse) use(count uint32) bool {
	if count > u.high {
		u.seen = u.seen<<(count-u.high) | 1
		u.high = count
		return true
	}
	bit := uint64(1) << (u.high - count) // 0 where it is too far below to know
	if bit == 0 || u.seen&bit != 0 {
		return false
	}
	u.seen |= bit
	return true
}
