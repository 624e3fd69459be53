package bench

import (
	"os/exec"
	"time"
)

// Usage is what a process has taken from its start to its end.
type Usage struct {
	Wall, CPU time.Duration
	Peak      int64 // the most memory, in octets
}

// RunInspector runs a program that shows a capture to its end. Status 1 says that there are
// findings, and is no error.
func RunInspector(cmd *exec.Cmd) (Usage, error) {
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	s := cmd.ProcessState
	if err != nil && (s == nil || s.ExitCode() != 1) {
		return Usage{}, err
	}
	return Usage{Wall: wall, CPU: s.UserTime() + s.SystemTime(), Peak: PeakOf(s)}, nil
}

// TsharkFields returns the arguments by which tshark prints the frames of HTTP/2 with their fields:
// less than sluice inspect does, and quicker than tshark's JSON.
func TsharkFields() []string {
	args := []string{"-T", "fields"}
	for _, name := range []string{
		"frame.time_epoch", "tcp.stream", "http2.type", "http2.streamid", "http2.flags", "http2.length",
		"http2.header.name", "http2.header.value",
	} {
		args = append(args, "-e", name)
	}
	return args
}
