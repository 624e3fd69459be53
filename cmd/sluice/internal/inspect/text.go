package inspect

import (
	"crypto/tls"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-go/sluice/capture"
)

// A text writes events for people, one line for each and an indented one for each field.
type text struct {
	w      io.Writer
	colors palette
	start  time.Time // times count from it; by default that of the first event
	b      []byte    // of the line that is made
	err    error     // of w
	told   string    // text of the last Gap
}

// indent is what lines below that of an event begin with.
const indent = "                     "

// newText returns a text that writes to w, which has a buffer.
func newText(w io.Writer, colors bool) *text { return &text{w: w, colors: newPalette(colors)} }

// begin sets the time from which times count.
func (x *text) begin(t time.Time) { x.start = t }

// Text returns a Handler that writes events to w for people, as the command does by default, with
// the colours that mode says: ColorAuto, ColorAlways or ColorNever.
func Text(w io.Writer, mode string, getenv func(string) string) (capture.Handler, error) {
	on, err := colored(mode, w, getenv)
	if err != nil {
		return nil, err
	}
	return newText(w, on).event, nil
}

// event is a capture.Handler.
func (x *text) event(e capture.Event) {
	switch e := e.(type) {
	case *capture.Frame:
		x.frame(e)
	case *capture.Connection:
		x.connection(e)
	case *capture.Message:
		x.message(e)
	case *capture.Request:
		x.request(e)
	case *capture.Stall:
		x.stall(e)
	case *capture.Finding:
		x.finding(e)
	case *capture.Gap:
		x.gap(e)
	case *capture.End:
		x.end(e)
	}
	x.flush()
}

// flush writes what has been appended.
func (x *text) flush() {
	if x.err == nil {
		_, x.err = x.w.Write(x.b)
	}
	x.b = x.b[:0]
}

// put appends text of the program's own.
func (x *text) put(s string) { x.b = append(x.b, s...) }

// say appends text of a peer.
func (x *text) say(s string) { x.b = appendEscaped(x.b, s) }

// num appends a number.
func (x *text) num(n int64) { x.b = strconv.AppendInt(x.b, n, 10) }

// line begins the line of an event.
func (x *text) line(conn uint64, t time.Time, mark string, s style) {
	if x.start.IsZero() {
		x.start = t
	}
	x.b = append(x.b, x.colors.dim.on...)
	from := len(x.b)
	x.b = strconv.AppendUint(append(x.b, '#'), conn, 10)
	x.pad(from, 4)
	from = len(x.b)
	x.b = appendSeconds(x.b, t.Sub(x.start))
	x.right(from, 11)
	x.b = append(x.b, x.colors.dim.off...)
	x.put(" ")
	x.b = s.add(x.b, mark)
	x.put(" ")
}

// pad fills up with blanks what stands behind from.
func (x *text) pad(from, width int) {
	for n := len(x.b) - from; n < width; n++ {
		x.b = append(x.b, ' ')
	}
}

// right puts what stands behind from to the right of a column.
func (x *text) right(from, width int) {
	n := len(x.b) - from
	if n >= width {
		return
	}
	for range width - n {
		x.b = append(x.b, ' ')
	}
	copy(x.b[len(x.b)-n:], x.b[from:from+n])
	for i := from; i < from+width-n; i++ {
		x.b[i] = ' '
	}
}

// appendSeconds appends a length of time in seconds with six digits behind the point.
func appendSeconds(b []byte, d time.Duration) []byte {
	us := d.Microseconds()
	if us < 0 {
		b = append(b, '-')
		us = -us
	}
	b = strconv.AppendInt(b, us/1e6, 10)
	b = append(b, '.')
	for digit := int64(100_000); digit > 0; digit /= 10 {
		b = append(b, byte('0'+us/digit%10))
	}
	return b
}

// sides has the arrow and the style of what a side sends.
func (x *text) side(d capture.Dir) (string, style) {
	if d == capture.Server {
		return "←", x.colors.server
	}
	return "→", x.colors.client
}

// connection writes the head of a connection.
func (x *text) connection(e *capture.Connection) {
	if x.start.IsZero() {
		x.start = e.Time
	}
	x.put("\n")
	x.b = x.colors.bold.add(x.b, fmt.Sprintf("#%d  %v → %v", e.ID, e.Client, e.Server))
	x.put("  " + protocolText(e))
	x.put("  " + e.Time.UTC().Format("2006-01-02 15:04:05.000000 UTC") + "\n")
	if e.Parent != 0 {
		where := "inside the CONNECT tunnel of stream"
		if e.Found == "upgrade" {
			where = "what became, by Upgrade, of request"
		}
		fmt.Fprintf(x, "    %s %d of #%d\n", where, e.ParentStream, e.Parent)
	}
	if e.Twin != 0 {
		fmt.Fprintf(x, "    the other leg of the tunnel is #%d\n", e.Twin)
	}
	if e.Leg != "" {
		fmt.Fprintf(x, "    the %s's leg of an intercepting proxy\n", e.Leg)
	}
	if e.TLS != nil {
		x.put("    ")
		x.tls(e.TLS)
		x.put("\n")
	}
	if e.StartMissing {
		x.put("    ")
		x.b = x.colors.warn.add(x.b, "the capture begins in the midst of this connection")
		x.put("\n")
	}
	if e.Problem != "" {
		x.put("    ")
		x.b = x.colors.bad.add(x.b, escaped(e.Problem))
		x.put("\n")
	}
}

// Write appends to the line; it is for fmt.Fprintf with what no peer has sent.
func (x *text) Write(p []byte) (int, error) {
	x.b = append(x.b, p...)
	return len(p), nil
}

// protocolText names the protocol of a connection and how it was found.
func protocolText(e *capture.Connection) string {
	name := map[capture.Protocol]string{
		capture.HTTP2: "HTTP/2", capture.HTTP1: "HTTP/1.1", capture.Unknown: "unknown protocol",
	}[e.Protocol]
	if name == "" {
		name = escaped(string(e.Protocol))
	}
	how := map[string]string{
		"preface": "by its preface", "alpn": "by ALPN", "upgrade": "by Upgrade: h2c", "frames": "by what looks like frames",
	}[e.Found]
	if how != "" {
		name += " (found " + how + ")"
	}
	return name
}

// tls writes what a handshake has agreed on.
func (x *text) tls(t *capture.TLS) {
	var parts []string
	if v := t.VersionName(); v != "" {
		parts = append(parts, v)
	} else {
		parts = append(parts, "TLS")
	}
	if t.CipherSuite != 0 {
		parts = append(parts, tls.CipherSuiteName(t.CipherSuite))
	}
	if t.ServerName != "" {
		parts = append(parts, "server name "+escaped(t.ServerName))
	}
	alpn := "no ALPN"
	if t.ALPN != "" {
		alpn = "ALPN " + escaped(t.ALPN)
	}
	if len(t.Offered) > 0 {
		alpn += " of " + escaped(strings.Join(t.Offered, ", "))
	}
	parts = append(parts, alpn)
	for _, is := range []struct {
		so   bool
		text string
	}{{t.Resumed, "resumed"}, {t.HelloRetry, "HelloRetryRequest"}, {t.EarlyData, "0-RTT"}} {
		if is.so {
			parts = append(parts, is.text)
		}
	}
	x.put(strings.Join(parts, ", "))
}

// message writes the header section of a request or response of HTTP/1.1.
func (x *text) message(e *capture.Message) {
	arrow, s := x.side(e.Dir)
	x.line(e.Conn, e.Time, arrow, s)
	if e.Trailer {
		x.put("trailers of ")
	}
	x.put("message ")
	x.num(int64(e.Stream))
	x.put("  ")
	x.b = append(x.b, x.colors.bold.on...)
	x.say(e.Line)
	x.b = append(x.b, x.colors.bold.off...)
	x.put("\n")
	for i := range e.Fields {
		x.field(&e.Fields[i])
	}
	for _, p := range e.Problems {
		x.put(indent)
		x.b = x.colors.bad.add(x.b, escaped(p))
		x.put("\n")
	}
}

// gap writes what is missing.
func (x *text) gap(e *capture.Gap) {
	x.told = strings.Clone(e.Text)
	x.line(e.Conn, e.Time, "!", x.colors.bad)
	what := escaped(e.Text)
	if what == "" {
		what = fmt.Sprintf("octets of the %v are missing: %s", e.Dir, e.Reason)
		if e.Octets >= 0 {
			what = strconv.FormatInt(e.Octets, 10) + " " + what
		}
	}
	x.b = x.colors.bad.add(x.b, what)
	x.put("\n")
}

// finding writes what is wrong, but not what a Gap has said in the line above.
func (x *text) finding(e *capture.Finding) {
	if told := x.told; told != "" && e.Text == told {
		x.told = ""
		return
	}
	s := x.severity(e.Severity)
	x.line(e.Conn, e.Time, "!", s)
	x.b = s.add(x.b, e.Severity.String())
	x.put(": ")
	x.say(e.Text)
	where := []string{"by the " + e.Dir.String()}
	if e.Stream != 0 {
		where = append(where, "stream "+strconv.FormatUint(uint64(e.Stream), 10))
	}
	if e.Frame != 0 {
		where = append(where, "frame "+strconv.FormatUint(e.Frame, 10))
	}
	if e.Section != "" {
		where = append(where, e.Section)
	}
	x.put(" (" + strings.Join(append(where, e.Rule), ", ") + ")\n")
}

// severity is the style of a severity.
func (x *text) severity(s capture.Severity) style {
	switch s {
	case capture.Error:
		return x.colors.bad
	case capture.Warning:
		return x.colors.warn
	default:
		return x.colors.note
	}
}

// stall writes for which window a stream has waited.
func (x *text) stall(e *capture.Stall) {
	x.line(e.Conn, e.Start, "=", x.colors.warn)
	x.b = x.colors.warn.add(x.b, "stall")
	fmt.Fprintf(x, ": the %v had no window %s for %s", e.Dir, windowText(e), durationText(e.End.Sub(e.Start)))
	if e.Periods > 1 {
		fmt.Fprintf(x, ", %d times, %s together", e.Periods, durationText(e.Blocked))
	}
	fmt.Fprintf(x, "; the %v owed WINDOW_UPDATE", e.Dir.Other())
	if e.EndedBy != "" {
		x.put("; ended by ")
		x.say(e.EndedBy)
	}
	if e.Frame != 0 {
		fmt.Fprintf(x, " (frame %d)", e.Frame)
	}
	x.put("\n")
}

// windowText names the window of a stall.
func windowText(e *capture.Stall) string {
	switch e.Window {
	case capture.StreamWindow:
		return fmt.Sprintf("on stream %d", e.Stream)
	case capture.ConnWindow:
		return fmt.Sprintf("of the connection for stream %d", e.Stream)
	default:
		return fmt.Sprintf("on stream %d, nor of the connection,", e.Stream)
	}
}

// end writes how a connection has ended.
func (x *text) end(e *capture.End) {
	x.line(e.Conn, e.Time, "=", x.colors.dim)
	how := map[string]string{"open": "is still open at the end", "reset": "was reset"}[e.How]
	if how == "" {
		how = "is " + e.How
	}
	fmt.Fprintf(x, "the connection %s: %s, %s, %s of HTTP from the client and %s from the server", how,
		countText(int64(e.Frames), "frame"), countText(int64(e.Requests), "request"),
		sizeText(e.Octets[capture.Client]), sizeText(e.Octets[capture.Server]))
	for _, d := range []capture.Dir{capture.Client, capture.Server} {
		if e.Lost[d] > 0 {
			fmt.Fprintf(x, ", %s of the %v lost", sizeText(e.Lost[d]), d)
		}
	}
	x.put("\n")
}

// countText is a number with a noun in singular or plural.
func countText(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.FormatInt(n, 10) + " " + noun
}

// sizeText is a number of octets for people.
func sizeText(n int64) string {
	switch {
	case n < 10_000:
		return countText(n, "octet")
	case n < 10<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 10<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	default:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
}

// durationText is a length of time for people.
func durationText(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Microsecond).String()
	default:
		return d.Round(time.Millisecond).String()
	}
}
