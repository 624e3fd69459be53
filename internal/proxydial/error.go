package proxydial

import (
	"net/http"
	"strconv"
	"strings"
)

// Error says that a proxy has not opened a tunnel. It has the fields of client.ProxyError, whose
// comments say what they mean.
type Error struct {
	Addr        string
	StatusCode  int
	Header      http.Header
	Target      string
	ProxyStatus string
	Body        []byte
	Err         error
}

// Error names the proxy, the target, and the proxy's reason.
func (e *Error) Error() string {
	s := "http2: proxy " + e.Addr
	if e.StatusCode == 0 {
		s += " does not answer CONNECT"
	} else {
		s += " refuses CONNECT"
	}
	if e.Target != "" {
		s += " to " + e.Target
	}
	if e.StatusCode != 0 {
		s += ": " + statusText(e.StatusCode)
	}
	if e.ProxyStatus != "" {
		s += " (" + e.ProxyStatus + ")"
	} else if line := firstLine(e.Body); line != "" {
		s += " (" + strconv.Quote(line) + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// statusText returns a status with its reason phrase.
func statusText(code int) string {
	if s := http.StatusText(code); s != "" {
		return strconv.Itoa(code) + " " + s
	}
	return strconv.Itoa(code)
}

// firstLine returns the beginning of a body for people, nothing of one in HTML.
func firstLine(body []byte) string {
	const most = 200
	s := strings.TrimSpace(string(body))
	if strings.HasPrefix(s, "<") {
		return ""
	}
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		s = s[:i]
	}
	return s[:min(len(s), most)]
}
