package header

import (
	"strings"

	"github.com/sluice-go/sluice/internal/syntax"
)

// valueFault checks the value of a field of kind k (RFC 9113 §8.2.1). num is the number in it,
// where the kind has one.
func valueFault(k kind, s string) (num int64, f fault) {
	if k != kindPlain {
		var ok bool
		if num, ok, f = specialValue(k, s); ok {
			return num, faultNone
		}
	}
	switch {
	case len(syntax.TrimValue(s)) != len(s):
		return 0, faultValueSpace
	case !syntax.ValidValue(s):
		return 0, faultValue
	}
	return num, f
}

// specialValue reports whether s is a valid value for a kind with a syntax of its own, and if not
// the fault, which is faultNone for a kind without one.
func specialValue(k kind, s string) (num int64, ok bool, f fault) {
	switch k {
	case kindMethod:
		return 0, syntax.ValidToken(s), faultMethod
	case kindScheme:
		return 0, syntax.ValidScheme(s), faultScheme
	case kindAuthority:
		return 0, syntax.ValidAuthority(s), faultAuthority
	case kindPath:
		return 0, syntax.ValidPath(s), faultPath
	case kindProtocol:
		return 0, syntax.ValidToken(s), faultProtocol
	case kindStatus:
		num = parseDecimal(s)
		return num, len(s) == 3 && num >= 100, faultStatus
	case kindTE:
		return 0, strings.EqualFold(s, "trailers"), faultTE
	case kindContentLength:
		num = parseDecimal(s)
		return num, num >= 0, faultContentLength
	}
	return 0, false, faultNone
}

// parseDecimal gives the value of s, or -1 when s is not 1*DIGIT or overflows.
func parseDecimal(s string) int64 {
	const most = 1<<63 - 1
	if s == "" {
		return -1
	}
	var n uint64
	for i := range len(s) {
		d := uint64(s[i] - '0')
		if d > 9 || n > (most-d)/10 {
			return -1
		}
		n = n*10 + d
	}
	return int64(n)
}
