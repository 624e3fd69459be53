package inspect

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sluice-go/sluice/capture"
)

// A table writes a line for each request when it is over, with what it has waited for.
type table struct {
	x    *text
	head bool
}

// milliseconds is a time as the columns of a table have it.
func milliseconds(d time.Duration) string {
	if d < time.Microsecond {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond))
}

// event is a capture.Handler.
func (t *table) event(e capture.Event) {
	r, ok := e.(*capture.Request)
	if !ok {
		return
	}
	x := t.x
	if !t.head {
		t.head = true
		x.b = x.colors.bold.add(x.b, tableHead)
		x.put("\n")
	}
	if x.start.IsZero() {
		x.start = r.Start
	}
	fmt.Fprintf(
		x, "%5s %6d %11s %9s %9s %9s %9s %9s %9s %10d  ", fmt.Sprintf("#%d", r.Conn), r.Stream,
		appendSeconds(nil, r.Start.Sub(x.start)), milliseconds(max(r.End.Sub(r.Start), 0)),
		milliseconds(r.Wait.Concurrency), milliseconds(r.Wait.Server), milliseconds(r.Wait.Stream),
		milliseconds(r.Wait.Connection), milliseconds(r.Wait.Network), r.Body[capture.Server],
	)
	x.b = x.status(r).add(x.b, outcome(r))
	x.put("  ")
	if r.Pushed {
		x.put("pushed ")
	}
	x.say(r.Method + " " + requestTarget(r))
	if r.GRPC != nil {
		fmt.Fprintf(x, "  gRPC %d", r.GRPC.Status)
	}
	x.put("\n")
	x.flush()
}

// tableHead names the columns; times but the first are in milliseconds.
var tableHead = strings.TrimRight(fmt.Sprintf(
	"%5s %6s %11s %9s %9s %9s %9s %9s %9s %10s  %s", "conn", "stream", "start/s", "total/ms", "for: slot", "server",
	"window", "connwin", "network", "octets", "response and request",
), " ")

// newTable returns a table that writes to w.
func newTable(w io.Writer, colors bool) *table { return &table{x: newText(w, colors)} }
