package server

import "net/http"

// sniffLen is how many octets of a body http.DetectContentType looks at.
const sniffLen = 512

// signatureStarts are the first octets of the signatures that http.DetectContentType knows, whether
// they are counted from the start of the body or from its first character that is no white space.
var signatureStarts = octetSet("<%\xfe\xff\xef\x00BGR\x89FIOM\x1atw\x1fP")

// binaryOctets do not occur in text.
var binaryOctets = func() (t [256]bool) {
	for c := range 0x20 {
		t[c] = c <= 0x08 || c == 0x0b || 0x0e <= c && c <= 0x1a || c >= 0x1c
	}
	return t
}()

// detectContentType is http.DetectContentType, faster where the answer is plain text: where no
// other signature may match, and no octet is binary.
func detectContentType(p []byte) string {
	if len(p) > sniffLen {
		p = p[:sniffLen]
	}
	i := 0
	for i < len(p) && (p[i] == ' ' || p[i] >= '\t' && p[i] <= '\r' && p[i] != '\v') {
		i++
	}
	switch {
	case i == len(p), // rare
		signatureStarts[p[0]] || signatureStarts[p[i]],
		len(p) >= 8 && string(p[4:8]) == "ftyp",      // video/mp4
		len(p) >= 36 && p[34] == 'L' && p[35] == 'P': // application/vnd.ms-fontobject
		return http.DetectContentType(p)
	}
	for _, c := range p {
		if binaryOctets[c] {
			return http.DetectContentType(p)
		}
	}
	return "text/plain; charset=utf-8"
}
