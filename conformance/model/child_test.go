package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// childVariable makes a process one that plays: "seeds FIRST STEPS" plays the scripts of seeds, one
// after another, until so many steps are done, and "script" the one on standard input.
const childVariable = "SLUICE_MODEL_CHILD"

// faultStatus is the exit status of a process whose script has failed.
const faultStatus = 77

// stuck is how long one script may take. It takes some milliseconds, of which virtual time is none;
// that of seed 41, with the race detector, octets one by one and little of a processor, a minute.
const stuck = 10 * time.Minute

// playHere plays a script in this process, which a failure ends.
func playHere(t *testing.T, s script) (steps int64) {
	overdue := time.AfterFunc(stuck, func() {
		fmt.Printf("FAULT the script does not end: time stands still\n%s\n", stacks())
		os.Exit(faultStatus)
	})
	defer overdue.Stop()
	synctest.Test(t, func(t *testing.T) {
		steps = play(t, s, func(format string, args ...any) {
			fmt.Printf("FAULT %s\n", fmt.Sprintf(format, args...))
			os.Exit(faultStatus)
		})
	})
	return steps
}

// TestChild is what child processes run.
func TestChild(t *testing.T) {
	switch order := os.Getenv(childVariable); {
	case order == "":
		return // not a child
	case order == "script":
		text, err := io.ReadAll(os.Stdin)
		if err != nil {
			t.Fatal(err)
		}
		s, err := parseScript(string(text))
		if err != nil {
			t.Fatal(err)
		}
		for range tries {
			playHere(t, s)
		}
	default:
		var seed uint64
		var steps int64
		if _, err := fmt.Sscanf(order, "seeds %d %d", &seed, &steps); err != nil {
			t.Fatal(err)
		}
		for ; steps > 0; seed++ {
			fmt.Printf("SEED %d\n", seed)
			steps -= playHere(t, generate(seed))
		}
		fmt.Printf("SEED %d\n", seed)
	}
}

// outcome is what became of a child process.
type outcome struct {
	fault string // empty where there was none
	seed  uint64 // the last one that was begun
	out   string
}

// child runs a child process.
func child(order, input string, limit time.Duration) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestChild$", "-test.timeout=0")
	cmd.Env = append(os.Environ(), childVariable+"="+order)
	cmd.Stdin = strings.NewReader(input)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	o := outcome{out: string(out)}
	for line := range strings.Lines(o.out) {
		switch {
		case strings.HasPrefix(line, "SEED "):
			_, _ = fmt.Sscanf(line, "SEED %d", &o.seed)
		case o.fault == "" && faultLine.MatchString(line):
			o.fault = strings.TrimSpace(line)
		}
	}
	switch {
	case err == nil:
		o.fault = ""
	case o.fault == "" && errors.Is(ctx.Err(), context.DeadlineExceeded):
		o.fault = "the process did not end"
	case o.fault == "":
		o.fault = err.Error()
	}
	return o
}

var faultLine = regexp.MustCompile(`^(FAULT |panic: |fatal error: |WARNING: DATA RACE|--- FAIL)`)

// kind returns a fault without its numbers, to find out whether another script has the same.
func kind(fault string) string {
	fault = regexp.MustCompile(`[0-9]+`).ReplaceAllString(fault, "#")
	return fault[:min(len(fault), 60)]
}
