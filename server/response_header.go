package server

import (
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/internal/syntax"
)

// statusDigits holds the decimal form of every status from 100 to 999.
var statusDigits = func() string {
	var b strings.Builder
	for code := 100; code <= 999; code++ {
		b.WriteString(strconv.Itoa(code))
	}
	return b.String()
}()

// statusField returns the :status field of a status.
func statusField(code int) header.Field {
	i := 3 * (code - 100)
	return header.Field{Name: ":status", Value: statusDigits[i : i+3]}
}

// freezeHeaderLocked sets the status, 200 or above, and makes the header section of what is in the
// header map now.
func (w *response) freezeHeaderLocked(code int) {
	if w.x.is(bodyContinue) {
		w.x.clear(bodyContinue) // a final status takes the place of 100 (Continue)
	}
	w.status = uint16(code)
	w.noContent = code == http.StatusNoContent || code == http.StatusNotModified
	w.makesTunnel = w.isConnect && code < http.StatusMultipleChoices
	w.length = -1
	if w.buf == nil {
		w.takeBuffer()
	}
	b := w.buf
	b.fields = append(b.fields[:0], statusField(code))
	if w.header != nil {
		b.fields = w.appendHeaderLocked(b.fields)
	}
	if w.pushesLinks {
		w.pushLinksLocked(code)
	}
}

// appendHeaderLocked appends the fields of the header map that are to be sent.
func (w *response) appendHeaderLocked(fields []header.Field) []header.Field {
	w.x.sc.srv.headerSizes.observe(len(w.header))
	for key, values := range w.header {
		name := header.ByKey(key)
		if name == nil || !w.interpretLocked(name.Meaning, values) {
			continue
		}
		for _, v := range values {
			fields = appendField(fields, name.Lower, v)
		}
	}
	return fields
}

// interpretLocked does what a field of the final header asks of the server, and reports whether to
// send it.
func (w *response) interpretLocked(m header.Meaning, values []string) bool {
	switch m {
	case header.ConnectionSpecific:
		return false
	case header.Connection:
		if len(values) > 0 && strings.EqualFold(values[0], "close") {
			w.closeWanted = true
		}
		return false
	case header.ContentLength:
		if len(values) == 0 || values[0] == "" {
			w.noLength = true
			return false
		}
		if n, err := strconv.ParseUint(textproto.TrimString(values[0]), 10, 63); err == nil {
			w.length = int64(n)
		}
		return false
	case header.ContentType:
		w.hasType = true
	case header.ContentEncoding: // the type of encoded content cannot be detected
		if len(values) > 0 && values[0] != "" {
			w.hasType = true
		}
	case header.Priority:
		w.x.s.MergePriority(strings.Join(values, ", "))
	case header.Date:
		w.hasDate = true
	case header.Trailer:
		for _, v := range values {
			w.declareTrailersLocked(v)
		}
	}
	return true
}

// addDefaultFieldsLocked adds to the header section the fields that the handler has not set:
// Content-Type, Content-Length and Date. p is the first part of the body, or all of it where whole
// is set.
func (w *response) addDefaultFieldsLocked(p []byte, whole bool) []header.Field {
	fields := w.buf.fields
	allowed := !w.noContent && !w.makesTunnel
	if !w.hasType && allowed && len(p) > 0 {
		fields = append(fields, header.Field{Name: "content-type", Value: detectContentType(p)})
	}
	length := w.length
	if length < 0 && whole && allowed && !w.noLength && (len(p) > 0 || !w.isHead) {
		length = int64(len(p))
	}
	if length >= 0 && !w.makesTunnel && w.status != http.StatusNoContent { // RFC 9110 §8.6
		fields = append(fields, header.Field{Name: "content-length", Value: strconv.FormatInt(length, 10)})
	}
	if !w.hasDate {
		fields = append(fields, header.Field{Name: "date", Value: w.x.sc.srv.date.now()})
	}
	if w.closeWanted {
		w.x.sc.c.Shutdown()
	}
	w.buf.fields = fields
	return fields
}

// writeInterimLocked sends an interim response with the header map as it is (RFC 9110 §15.2).
func (w *response) writeInterimLocked(code int) (flush bool) {
	if code == http.StatusSwitchingProtocols { // has no meaning in HTTP/2 (RFC 9113 §8.6)
		w.x.sc.logf("http: WriteHeader(101) ignored: HTTP/2 has no Upgrade")
		return false
	}
	if code == http.StatusContinue {
		w.x.clear(bodyContinue)
	}
	if w.pushesLinks && w.pushLinksLocked(code) {
		return true
	}
	fields := make([]header.Field, 1, 1+len(w.header))
	fields[0] = statusField(code)
	for key, values := range w.header {
		name := header.ByKey(key)
		if name == nil || name.Meaning == header.Connection || name.Meaning == header.ConnectionSpecific ||
			name.Meaning == header.ContentLength {
			continue
		}
		for _, v := range values {
			fields = appendField(fields, name.Lower, v)
		}
	}
	// Where that fails the stream is dead, and the next Write or Flush returns its error.
	return w.err == nil && w.x.s.WriteHeaders(fields, false) == nil
}

var continueFields = []header.Field{statusField(http.StatusContinue)}

// sendContinue sends 100 (Continue) unless the handler has answered. It does not flush: Read of the
// body does when it has to wait.
func (w *response) sendContinue() {
	w.mu.Lock()
	defer w.mu.Unlock()
	// Another goroutine of the handler may have answered since the caller has found bodyContinue
	// set.
	if w.responseState != nil && w.err == nil && w.status == 0 {
		_ = w.x.s.WriteHeaders(continueFields, false) // where this fails, so does the final header
	}
}

// appendField appends a field unless its value is not valid (RFC 9110 §5.5), which net/http leaves
// out as well.
func appendField(fields []header.Field, lower, value string) []header.Field {
	value = textproto.TrimString(value)
	if !syntax.ValidValue(value) {
		return fields
	}
	return append(fields, header.Field{Name: lower, Value: value})
}
