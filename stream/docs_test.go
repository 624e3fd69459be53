package stream

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the drawn parts of docs/STATES.md")

const statesFile = "../docs/STATES.md"

// idents are the names of the states in Mermaid.
var idents = [numStates]string{
	Idle:              "Idle",
	ReservedLocal:     "ReservedLocal",
	ReservedRemote:    "ReservedRemote",
	Open:              "Open",
	HalfClosedLocal:   "HalfClosedLocal",
	HalfClosedRemote:  "HalfClosedRemote",
	ClosedEnd:         "ClosedEnd",
	ClosedResetLocal:  "ClosedResetLocal",
	ClosedResetRemote: "ClosedResetRemote",
}

// diagram draws the transitions: what is allowed and changes the state, and the stream errors.
func diagram() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n    [*] --> Idle\n")
	describe := func(indent string, s State) {
		fmt.Fprintf(&b, "%sstate %q as %s\n", indent, s, idents[s])
	}
	for _, s := range states() {
		if !s.Closed() {
			describe("    ", s)
		}
	}
	b.WriteString("    state closed {\n")
	for _, s := range states() {
		if s.Closed() {
			describe("        ", s)
		}
	}
	b.WriteString("    }\n")
	for _, from := range states() {
		for _, to := range states() {
			if label := edge(from, to); label != "" {
				fmt.Fprintf(&b, "    %s --> %s : %s\n", idents[from], idents[to], label)
			}
		}
	}
	b.WriteString("    closed --> [*]\n```\n")
	return b.String()
}

// edge returns the label of the arrow between two states, or "" where there is none.
func edge(from, to State) string {
	var causes []string
	wrong := false
	for _, e := range events() {
		switch r := from.On(e); {
		case from == to || r.Next != to:
		case r.Verdict == Allowed:
			causes = append(causes, e.String())
		default:
			wrong = true
		}
	}
	if wrong {
		causes = append(causes, "stream error")
	}
	return strings.Join(causes, "<br/>")
}

// cell returns the text of a rule in the table of the document.
func cell(s State, e Event) string {
	r := s.On(e)
	switch r.Verdict {
	case Allowed:
		if r.Next == s {
			return "ok"
		}
		return "→ " + r.Next.String()
	case Ignored:
		return "ignore"
	case StreamClosedError:
		return "stream error"
	case ConnProtocolError:
		return "PROTOCOL_ERROR"
	case ConnStreamClosed:
		return "STREAM_CLOSED"
	case Misuse:
		return "–"
	}
	panic("BUG: no words for " + r.Verdict.String())
}

func table() string {
	var b strings.Builder
	b.WriteString("| |")
	for _, s := range states() {
		fmt.Fprintf(&b, " %s |", s)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(states())) + "\n")
	for _, e := range events() {
		fmt.Fprintf(&b, "| **%s** |", e)
		for _, s := range states() {
			fmt.Fprintf(&b, " %s |", cell(s, e))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// replace returns doc with text between the markers of part.
func replace(t *testing.T, doc, part, text string) string {
	t.Helper()
	begin, end := fmt.Sprintf("<!-- begin %s -->\n", part), fmt.Sprintf("<!-- end %s -->\n", part)
	before, rest, ok1 := strings.Cut(doc, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no markers for the %s", statesFile, part)
	}
	return before + begin + "\n" + text + "\n" + end + after
}

func TestStatesDocumentIsCurrent(t *testing.T) {
	old, err := os.ReadFile(statesFile)
	if err != nil {
		t.Fatal(err)
	}
	// A checkout may have other line ends.
	doc := strings.ReplaceAll(string(old), "\r\n", "\n")
	drawn := replace(t, doc, "diagram", diagram())
	drawn = replace(t, drawn, "table", table())
	if drawn == doc {
		return
	}
	if !*update {
		t.Fatalf("%s differs from the table in rules.go; rewrite it with\n\tgo test ./stream -run Document -update",
			statesFile)
	}
	if err := os.WriteFile(statesFile, []byte(drawn), 0o644); err != nil {
		t.Fatal(err)
	}
}
