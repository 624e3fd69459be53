package server

import (
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/internal/httpfield"
)

// statusDigits holds the decimal form of every status from 100 to 999.
var statusDigits = func() string {
	var b strings.Builder
	for code := 100; code <= 999; code++ {
		b.WriteString(strconv.Itoa(code))
	}
	return b.String()
}()

func statusField(code int) core.Field {
	i := 3 * (code - 100)
	return core.Field{Name: ":status", Value: statusDigits[i : i+3]}
}

// snapshotLocked fixes the status and, as fields, what is in the header map now.
func (w *response) snapshotLocked(code int) {
	if w.x.is(bodyContinue) {
		w.x.clear(bodyContinue) // a final status is answer enough
	}
	w.status = uint16(code)
	w.length = -1
	t := w.getScratch()
	t.fields = append(t.fields[:0], statusField(code))
	if w.header != nil {
		t.fields = w.appendHeaderLocked(t.fields)
	}
	if w.is(pushesLinks) {
		w.pushLinksLocked(code)
	}
}

// appendHeaderLocked appends what is in the header map, and notes what it means to us.
func (w *response) appendHeaderLocked(fields []core.Field) []core.Field {
	w.x.sc.eng.headers.observe(len(w.header))
	for key, values := range w.header {
		name := httpfield.ByKey(key)
		if name == nil || !w.noteLocked(name.Meaning, values) {
			continue
		}
		for _, v := range values {
			fields = appendField(fields, name.Lower, v)
		}
	}
	return fields
}

// noteLocked notes what a field of the final header means to us, and tells whether to send it.
func (w *response) noteLocked(m httpfield.Meaning, values []string) bool {
	switch m {
	case httpfield.ConnectionSpecific:
		return false
	case httpfield.Connection:
		if len(values) > 0 && strings.EqualFold(values[0], "close") {
			w.flags |= closeWanted
		}
		return false
	case httpfield.ContentLength:
		if len(values) == 0 || values[0] == "" {
			w.flags |= noLength
			return false
		}
		if n, err := strconv.ParseUint(textproto.TrimString(values[0]), 10, 63); err == nil {
			w.length = int64(n)
		}
		return false
	case httpfield.ContentType:
		w.flags |= hasType
	case httpfield.ContentEncoding: // what is encoded cannot be sniffed
		if len(values) > 0 && values[0] != "" {
			w.flags |= hasType
		}
	case httpfield.Priority:
		w.x.s.MergePriority(strings.Join(values, ", "))
	case httpfield.Date:
		w.flags |= hasDate
	case httpfield.Trailer:
		for _, v := range values {
			w.declareTrailers(v)
		}
	}
	return true
}

// completeLocked adds to the snapshot what we know better than the handler. p is the first part of
// the body, all of it if whole is set.
func (w *response) completeLocked(p []byte, whole bool) []core.Field {
	fields := w.getScratch().fields
	allowed := bodyAllowed(w.status)
	tunnel := w.tunnels()
	if !w.is(hasType) && allowed && len(p) > 0 && !tunnel {
		fields = append(fields, core.Field{Name: "content-type", Value: detectContentType(p)})
	}
	length := w.length
	if length < 0 && whole && allowed && !w.is(noLength) && (len(p) > 0 || !w.is(isHead)) {
		length = int64(len(p))
	}
	if length >= 0 && !tunnel && w.status != http.StatusNoContent { // RFC 9110 §8.6
		fields = append(fields, core.Field{Name: "content-length", Value: strconv.FormatInt(length, 10)})
	}
	if !w.is(hasDate) {
		fields = append(fields, core.Field{Name: "date", Value: w.x.sc.eng.date.now()})
	}
	if w.is(closeWanted) {
		w.x.sc.c.Shutdown()
	}
	w.scratch.fields = fields
	return fields
}

// informLocked sends an interim response with the header map as it is (RFC 9110 §15.2).
func (w *response) informLocked(code int) (flush bool) {
	if code == http.StatusSwitchingProtocols { // has no meaning in HTTP/2 (RFC 9113 §8.6)
		w.x.sc.logf("http: WriteHeader(101) ignored: HTTP/2 has no Upgrade")
		return false
	}
	if code == http.StatusContinue {
		w.x.clear(bodyContinue)
	}
	if w.is(pushesLinks) && w.pushLinksLocked(code) {
		return true
	}
	fields := make([]core.Field, 1, 1+len(w.header))
	fields[0] = statusField(code)
	for key, values := range w.header {
		name := httpfield.ByKey(key)
		if name == nil || name.Meaning == httpfield.Connection || name.Meaning == httpfield.ConnectionSpecific ||
			name.Meaning == httpfield.ContentLength {
			continue
		}
		for _, v := range values {
			fields = appendField(fields, name.Lower, v)
		}
	}
	// Where that fails the stream is dead, which the next Write or Flush finds out by itself.
	return w.err == nil && w.x.s.WriteHeaders(fields, false) == nil
}

var continueFields = []core.Field{statusField(http.StatusContinue)}

// sendContinue sends 100 (Continue) unless the handler has answered. Nothing is flushed: that
// happens when the reader finds nothing to read.
func (w *response) sendContinue() {
	w.mu.Lock()
	defer w.mu.Unlock()
	// Another goroutine of the handler may have answered since the reader of the body has asked.
	if w.draft != nil && w.err == nil && w.status == 0 {
		_ = w.x.s.WriteHeaders(continueFields, false) // the final head fails, too, where this does
	}
}

// appendField appends a field unless its value is not valid (RFC 9110 §5.5), which net/http leaves
// out as well.
func appendField(fields []core.Field, lower, value string) []core.Field {
	value = textproto.TrimString(value)
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return fields
		}
	}
	return append(fields, core.Field{Name: lower, Value: value})
}
