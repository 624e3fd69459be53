package main

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/sluice-go/sluice/benchmarks/internal/bench"
)

// frames is the codec without a socket: the benchmarks of package benchmarks.
type frames struct{}

var (
	frameRead  = figure{"ns_per_small_frame_read", "ns/small frame read", 1} // of the slowest type
	dataWrite  = figure{"ns_per_data_write", "ns/DATA frame of 16 KiB written", 0}
	dataOfCopy = figure{"data_write_of_copy", "DATA written, in parts of a copy", 2}
)

// codecOf has the peers' names in those benchmarks.
var codecOf = map[string]string{sluice: "sluice", xnet: "xnet"}

func (frames) can(p peer) bool { return codecOf[p.Name] != "" }

func (frames) measure(ctx context.Context, l *runner, p peer) (figures, error) {
	binary := filepath.Join(l.dir, "frames.test")
	if !l.framesBuilt {
		top, err := sourceDir(ctx)
		if err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./benchmarks")
		cmd.Dir = top
		if _, err := output(cmd); err != nil {
			return nil, err
		}
		l.framesBuilt = true
	}
	cmd := bench.Command(ctx, l.serverCPU, binary, "-test.run=^$", "-test.bench=^BenchmarkFrame(Read|Write|Copy)$",
		"-test.count=8", fmt.Sprintf("-test.benchtime=%.1fms", 1000*l.seconds/30))
	cmd.Stderr = nil
	out, err := output(cmd)
	if err != nil {
		return nil, err
	}
	l.what[p.Name] = cmp.Or(l.what[p.Name], "the codec, as `go test -bench Frame ./benchmarks` has it")
	return readFrames(string(out), codecOf[p.Name])
}

// readFrames reads what the benchmarks print for a codec. They measure time by
// the clock on the wall, so the least is what counts.
func readFrames(out, codec string) (figures, error) {
	took := map[string]float64{}
	line := regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([0-9.]+) ns/op`)
	for _, m := range line.FindAllStringSubmatch(out, -1) {
		ns, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return nil, err
		}
		if before, ok := took[m[1]]; !ok || ns < before {
			took[m[1]] = ns
		}
	}
	const data = "DATA-16KiB"
	slowest := 0.0
	for _, small := range []string{"HEADERS", "WINDOW_UPDATE", "SETTINGS"} {
		slowest = max(slowest, took["FrameRead/"+small+"/"+codec])
	}
	write, whole := took["FrameWrite/"+data+"/"+codec], took["FrameCopy/"+data]
	if slowest == 0 || write == 0 || whole == 0 {
		return nil, fmt.Errorf("the benchmarks of frames printed %s", strings.TrimSpace(out))
	}
	m := figures{}
	m.set(frameRead, slowest)
	m.set(dataWrite, write)
	m.set(dataOfCopy, write/whole)
	return m, nil
}
