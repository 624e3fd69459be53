package tlsrecord

// A Guess says what octets look like.
type Guess uint8

// The guesses.
const (
	No    Guess = iota
	Maybe       // there are too few octets to say
	Yes
)

// LooksLikeClientHello says whether a connection whose client begins with p speaks TLS.
func LooksLikeClientHello(p []byte) Guess {
	head := []struct{ low, high byte }{
		{recHandshake, recHandshake}, {3, 3}, {0, 4}, {0, maxPlain >> 8}, {0, 255}, {msgClientHello, msgClientHello},
	}
	for i, b := range head {
		if i == len(p) {
			return Maybe
		}
		if p[i] < b.low || p[i] > b.high {
			return No
		}
	}
	return Yes
}

// LooksLikeRecords says whether p, which is from the midst of a connection, has encrypted records
// of TLS 1.2 or later: the headers of two of them, one behind the other.
func LooksLikeRecords(p []byte) Guess {
	answer := Maybe
	for at := 0; ; at++ {
		i := findEncrypted(p[at:], 0)
		at += i
		if len(p)-at < headerSize {
			break
		}
		next := p[min(len(p), at+recordSize(p[at:])):]
		if len(next) >= headerSize && plausible(next, 0) {
			return Yes
		}
	}
	if len(p) > 2*maxRecord {
		answer = No
	}
	return answer
}
