package client

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// asciiHost gives the ASCII form of a host with an optional port: lower case, and each label that needs it in Punycode
// (RFC 5891 §4, RFC 3492). It does not normalise beyond that, as a full implementation of IDNA would.
func asciiHost(host string) (string, error) {
	if !utf8.ValidString(host) {
		return "", errors.New("http2: invalid Host header")
	}
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		name, port = host[:i], host[i:]
	}
	labels := strings.FieldsFunc(strings.Map(unicode.ToLower, name), func(r rune) bool {
		return r == '.' || r == '\u3002' || r == '\uff0e' || r == '\uff61'
	})
	for i, label := range labels {
		if strings.IndexFunc(label, func(r rune) bool { return r >= 0x80 }) >= 0 {
			labels[i] = "xn--" + punycode(label)
		}
	}
	ascii := strings.Join(labels, ".") + port
	for i := range len(ascii) {
		if !hostOctets[ascii[i]] {
			return "", errors.New("http2: invalid Host header")
		}
	}
	return ascii, nil
}

// Parameters of RFC 3492 §5.
const (
	punyBase = 36
	punyTMin = 1
	punyTMax = 26
	punySkew = 38
	punyDamp = 700
)

// punycode encodes a label (RFC 3492 §6.3).
func punycode(label string) string {
	var out []byte
	runes := []rune(label)
	for _, r := range runes {
		if r < 0x80 {
			out = append(out, byte(r))
		}
	}
	basic := len(out)
	if basic > 0 {
		out = append(out, '-')
	}
	n, delta, bias := rune(0x80), 0, 72
	for done := basic; done < len(runes); {
		next := rune(unicode.MaxRune)
		for _, r := range runes {
			if r >= n {
				next = min(next, r)
			}
		}
		delta += int(next-n) * (done + 1)
		n = next
		for _, r := range runes {
			switch {
			case r < n:
				delta++
			case r == n:
				out = appendPunyInteger(out, delta, bias)
				bias = punyAdapt(delta, done+1, done == basic)
				delta = 0
				done++
			}
		}
		delta++
		n++
	}
	return string(out)
}

func appendPunyInteger(out []byte, q, bias int) []byte {
	const digits = "abcdefghijklmnopqrstuvwxyz0123456789"
	for k := punyBase; ; k += punyBase {
		t := min(max(k-bias, punyTMin), punyTMax)
		if q < t {
			return append(out, digits[q])
		}
		out = append(out, digits[t+(q-t)%(punyBase-t)])
		q = (q - t) / (punyBase - t)
	}
}

// punyAdapt is RFC 3492 §6.1.
func punyAdapt(delta, points int, first bool) int {
	if first {
		delta /= punyDamp
	} else {
		delta /= 2
	}
	delta += delta / points
	k := 0
	for ; delta > (punyBase-punyTMin)*punyTMax/2; k += punyBase {
		delta /= punyBase - punyTMin
	}
	return k + (punyBase-punyTMin+1)*delta/(delta+punySkew)
}
