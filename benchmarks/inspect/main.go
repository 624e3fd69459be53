// Inspect measures how fast "sluice inspect" reads captures, and how much memory that takes, beside
// tshark on the same files in the same run:
//
//	go run ./benchmarks/inspect -size 1024 -rounds 3
//
// It records connections of a sluice server and a sluice client on loopback, over TLS 1.3: large
// downloads, and small requests. Each tool decrypts a capture with the keys that are in it and
// shows every frame with its fields, by turns with the others; tshark prints the fields that are
// named, which is less than our text has, and with -json all that it knows of HTTP/2.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sluice-go/sluice/benchmarks/internal/bench"
)

func main() {
	size := flag.Int64("size", 1024, "MiB of each capture")
	rounds := flag.Int("rounds", 3, "how often each tool reads each capture")
	names := flag.String("loads", "downloads,requests", "what the captures carry")
	withJSON := flag.Bool("json", false, "measure the JSON of tshark, too, which takes very long")
	dir := flag.String("dir", "", "folder for the captures, which stay there (default: one that is removed)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, options{*dir, *size << 20, *rounds, strings.Split(*names, ","), *withJSON}, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "inspect:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	dir      string
	size     int64 // octets of each capture
	rounds   int
	loads    []string
	withJSON bool
}

// run makes the captures, has the tools read them, and writes the table.
func run(ctx context.Context, o options, out io.Writer) error {
	dir := o.dir
	if dir == "" {
		temp, err := os.MkdirTemp("", "inspect")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		dir = temp
	}
	program := filepath.Join(dir, "sluice")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/sluice-go/sluice/cmd/sluice")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	tools := toolsOf(program, dir, o.withJSON)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "capture\tMiB\ttool\ts\ts of CPU\tMiB/s\tMiB of memory\ttimes tshark's speed\t")
	for _, load := range loads {
		if !slices.Contains(o.loads, load.name) {
			continue
		}
		file := filepath.Join(dir, load.name+".pcapng")
		if err := record(ctx, file, load, o.size); err != nil {
			return fmt.Errorf("%s: %w", load.name, err)
		}
		if err := compare(ctx, w, load.name, file, tools, o.rounds); err != nil {
			return err
		}
	}
	return w.Flush()
}

// A tool reads a capture and shows its frames.
type tool struct {
	name string
	argv func(file string) []string
}

// toolsOf returns what is compared; the first one is the measure.
func toolsOf(program, dir string, withJSON bool) []tool {
	sluice := func(args ...string) func(string) []string {
		return func(file string) []string { return append([]string{program, "inspect", file}, args...) }
	}
	tshark := func(args ...string) func(string) []string {
		return func(file string) []string {
			return append([]string{"tshark", "-n", "-r", file, "-Y", "http2"}, args...)
		}
	}
	tools := []tool{
		{"tshark -T fields", tshark(bench.TsharkFields()...)},
		{"sluice (text)", sluice()},
		{"sluice --json", sluice("--json")},
		{"sluice --html", sluice("--html", filepath.Join(dir, "out.html"))},
	}
	if withJSON {
		tools = append(tools, tool{"tshark -T json", tshark("-T", "json", "-J", "http2")})
	}
	return tools
}

// compare writes the lines of a capture.
func compare(ctx context.Context, w io.Writer, name, file string, tools []tool, rounds int) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	mib := float64(info.Size()) / (1 << 20)
	runs := make([][]bench.Usage, len(tools))
	for range rounds {
		for i, t := range tools {
			argv := t.argv(file)
			u, err := bench.RunInspector(exec.CommandContext(ctx, argv[0], argv[1:]...)) //nolint:gosec // the tools of this file
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			runs[i] = append(runs[i], u)
		}
	}
	wall := func(u bench.Usage) float64 { return u.Wall.Seconds() }
	base := median(runs[0], wall)
	for i, t := range tools {
		s := median(runs[i], wall)
		fmt.Fprintf(w, "%s\t%.0f\t%s\t%.2f\t%.2f\t%.0f\t%.0f\t%.1f\t\n", name, mib, t.name, s,
			median(runs[i], func(u bench.Usage) float64 { return u.CPU.Seconds() }), mib/s,
			median(runs[i], func(u bench.Usage) float64 { return float64(u.Peak) / (1 << 20) }), base/s)
	}
	return nil
}

func median(runs []bench.Usage, of func(bench.Usage) float64) float64 {
	var v []float64
	for _, u := range runs {
		v = append(v, of(u))
	}
	return bench.Median(v)
}
