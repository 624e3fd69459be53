package inspect

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-go/sluice/capture"
)

// A summary counts what a capture has.
type summary struct {
	protocols map[capture.Protocol]int
	resumed   int
	statuses  map[int]int // requests by the first digit of their status; 0 is none
	requests  int
	resets    int
	findings  [3]int          // by Severity
	rules     map[string]rule // of errors and warnings
	stalls    int
	stalled   time.Duration   // in all of them
	waited    time.Duration   // of requests, for windows: in Stalls, and in what is too short for one
	read      capture.Summary // of the file; set at its end
	frames    uint64
	octets    int64
	lost      int64
	lostDirs  int // directions of connections that have lost octets
	problems  map[string]int
	midst     int // connections whose start is missing
}

// A rule is what findings of one kind have in common.
type rule struct {
	n        int
	section  string
	severity capture.Severity
}

// Bounds of what a summary names.
const (
	maxProblems      = 100
	maxProblemsShown = 10
	maxRules         = 1000
)

// shortWaits is how long waits that are no Stalls must be together to be worth a word.
const shortWaits = 20 * time.Millisecond

func newSummary() *summary {
	return &summary{
		protocols: map[capture.Protocol]int{}, statuses: map[int]int{}, rules: map[string]rule{}, problems: map[string]int{},
	}
}

// event is a capture.Handler.
func (s *summary) event(e capture.Event) {
	switch e := e.(type) {
	case *capture.Connection:
		s.connection(e)
	case *capture.Request:
		s.requests++
		s.statuses[e.Status/100]++
		s.waited += e.Wait.Stream + e.Wait.Connection
		if e.ResetBy != "" {
			s.resets++
		}
	case *capture.Finding:
		s.findings[e.Severity]++
		if r, ok := s.rules[e.Rule]; ok || len(s.rules) < maxRules {
			s.rules[strings.Clone(e.Rule)] = rule{r.n + 1, strings.Clone(e.Section), e.Severity}
		}
	case *capture.Stall:
		s.stalls++
		s.stalled += e.Blocked
	case *capture.End:
		s.frames += e.Frames
		for d, n := range e.Lost {
			s.octets += e.Octets[d]
			s.lost += max(n, 0)
			if n > 0 {
				s.lostDirs++
			}
		}
	}
}

// connection counts a connection.
func (s *summary) connection(e *capture.Connection) {
	s.protocols[e.Protocol]++
	if e.StartMissing {
		s.midst++
	}
	if e.Problem != "" && (s.problems[e.Problem] > 0 || len(s.problems) < maxProblems) {
		s.problems[strings.Clone(e.Problem)]++
	}
	if e.TLS != nil && e.TLS.Resumed {
		s.resumed++
	}
}

// failures is how many findings make the exit status 1: errors and warnings.
func (s *summary) failures() int {
	return s.findings[capture.Error] + s.findings[capture.Warning]
}

// unread reports whether a part of the capture, which may have any content, could not be read: for
// its format, or because nothing of what it has could be decrypted.
func (s *summary) unread() bool {
	p := &s.read.Packets
	nothing := s.read.HTTP2+s.read.HTTP1 == 0 && (s.read.Encrypted > 0 || p.TCP == 0)
	return nothing || p.Unknown > 0 || p.BadBlocks > 0
}

// write writes the summary of a file.
func (s *summary) write(w io.Writer, c palette) {
	total := 0
	var kinds []string
	for _, p := range []capture.Protocol{capture.HTTP2, capture.HTTP1, capture.Unknown} {
		n := s.protocols[p]
		total += n
		if n > 0 {
			kinds = append(kinds, fmt.Sprintf("%d of %s", n, protocolText(&capture.Connection{Protocol: p})))
		}
	}
	fmt.Fprintf(w, "\n%s%s%s", c.bold.on, countText(int64(total), "connection"), c.bold.off)
	if len(kinds) > 0 {
		fmt.Fprintf(w, ": %s", strings.Join(kinds, ", "))
	}
	if s.resumed > 0 {
		fmt.Fprintf(w, "; %d resumed", s.resumed)
	}
	fmt.Fprintf(w, "\n%s, %s of HTTP\n", countText(int64(s.frames), "frame"), sizeText(s.octets))
	fmt.Fprintf(w, "%s%s\n", countText(int64(s.requests), "request"), s.statusText())
	s.writeStalls(w, c)
	s.writeFindings(w, c)
	s.writeMissing(w, c)
}

// writeStalls writes how long streams had no window. Requests may have waited much longer than in
// their Stalls: many short times.
func (s *summary) writeStalls(w io.Writer, c palette) {
	short := s.waited - s.stalled
	if s.stalls > 0 {
		fmt.Fprintf(
			w, "%s%s%s of streams that had no window, %s together",
			c.warn.on, countText(int64(s.stalls), "stall"), c.warn.off, durationText(s.stalled),
		)
		if short >= shortWaits {
			fmt.Fprintf(w, "; and %s in shorter waits", durationText(short))
		}
		fmt.Fprintln(w)
	} else if short >= shortWaits {
		fmt.Fprintf(w, "%s without window, in waits too short for a stall (--min-stall)\n", durationText(short))
	}
}

// statusText says how requests have ended.
func (s *summary) statusText() string {
	var parts []string
	for _, class := range slices.Sorted(maps.Keys(s.statuses)) {
		name := fmt.Sprintf("%dxx", class)
		if class == 0 {
			name = "without a response"
		}
		parts = append(parts, fmt.Sprintf("%d %s", s.statuses[class], name))
	}
	if s.resets > 0 {
		parts = append(parts, fmt.Sprintf("%d reset", s.resets))
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

// writeFindings writes how many findings there are, and those that matter by rule.
func (s *summary) writeFindings(w io.Writer, c palette) {
	style := c.good
	if s.findings[capture.Error] > 0 {
		style = c.bad
	} else if s.findings[capture.Warning] > 0 {
		style = c.warn
	}
	fmt.Fprintf(
		w, "%s%s, %s%s, %s\n", style.on, countText(int64(s.findings[capture.Error]), "error"),
		countText(int64(s.findings[capture.Warning]), "warning"), style.off,
		countText(int64(s.findings[capture.Note]), "note"),
	)
	for _, name := range slices.Sorted(maps.Keys(s.rules)) {
		if r := s.rules[name]; r.severity != capture.Note {
			fmt.Fprintf(w, "  %d × %s %s", r.n, r.severity, escaped(name))
			if r.section != "" {
				fmt.Fprintf(w, " (%s)", escaped(r.section))
			}
			fmt.Fprintln(w)
		}
	}
}

// writeMissing says plainly what is not shown because it is not there.
func (s *summary) writeMissing(w io.Writer, c palette) {
	say := func(format string, args ...any) {
		fmt.Fprintf(w, "%smissing:%s "+format+"\n", append([]any{c.warn.on, c.warn.off}, args...)...)
	}
	if s.lost > 0 {
		say("%s of HTTP, in %s of connections", countText(s.lost, "octet"), countText(int64(s.lostDirs), "direction"))
	}
	if s.midst > 0 {
		say("the start of %s", countText(int64(s.midst), "connection"))
	}
	for _, p := range s.read.Problems {
		say("%s", escaped(p))
	}
	if s.read.Evicted > 0 {
		fmt.Fprintln(w, "  --max-connections follows more, which takes memory for each")
	}
	for i, p := range slices.Sorted(maps.Keys(s.problems)) {
		if i == maxProblemsShown {
			fmt.Fprintf(w, "  … and %d more\n", len(s.problems)-i)
			break
		}
		fmt.Fprintf(w, "  %s: %s\n", countText(int64(s.problems[p]), "connection"), escaped(p))
	}
}
