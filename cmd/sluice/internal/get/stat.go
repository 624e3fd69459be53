package get

import (
	"fmt"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/sluice-go/sluice/client"
)

// writeTable writes a line for each exchange and each push, and the sum.
func writeTable(o *Options, exchanges []*exchange, pushes []*pushed, stats client.Stats, total time.Duration) error {
	w := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "status\tproto\toctets\tdns\tconnect\ttls\tqueue\tsend\twait\tcontent\ttotal\t  URL")
	var octets int64
	var totals []time.Duration
	for _, x := range exchanges {
		s := x.timing.spans()
		status := strconv.Itoa(x.status)
		if x.err != nil {
			status = "failed"
		} else {
			totals = append(totals, s.total)
		}
		octets += x.octets
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t  %s\n", status, x.proto, x.octets,
			span(s.dns), span(s.tcp), span(s.tls), span(s.queue), span(s.send),
			span(s.wait), span(s.content), span(s.total), o.name(x.url))
	}
	for _, p := range pushes {
		status := strconv.Itoa(p.status)
		if p.err != nil {
			status = "failed"
		}
		octets += p.octets
		fmt.Fprintf(w, "%s\tpushed\t%d\t\t\t\t\t\t\t\t%s\t  %s (for %s)\n",
			status, p.octets, span(p.total), o.name(p.url), o.name(p.parent))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(o.Out, "\n%d requests, %d pushes, %d octets in %s over %d connections of HTTP/2%s\n",
		len(exchanges), len(pushes), octets, span(total), stats.ConnsOpened, spread(totals))
	return err
}

// span is a duration in three digits, "" for none.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return ""
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// spread says how the totals differ; "" for few.
func spread(totals []time.Duration) string {
	if len(totals) < 3 {
		return ""
	}
	slices.Sort(totals)
	return fmt.Sprintf("\ntotal: least %s, median %s, most %s",
		span(totals[0]), span(totals[len(totals)/2]), span(totals[len(totals)-1]))
}
