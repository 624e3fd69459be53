package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// The two sides of a comparison.
const (
	Sluice  = "sluice"
	NetHTTP = "net/http"
)

// Sides are both, in the order in which they are measured.
var Sides = []string{NetHTTP, Sluice}

// A Usage is what a process has used so far.
type Usage struct {
	CPU    int64 `json:"cpu_us"` // user and system time in microseconds
	Reads  int64 `json:"reads"`  // system calls that read; 0 when the system does not tell
	Writes int64 `json:"writes"` // system calls that write
}

// A Child is this program again, as one side of the comparison: both sides
// then come from the same compiler. It writes a greeting of one line, and a
// line of JSON for each line that it reads, until there are no more.
type Child struct {
	Greeting string // without its line feed

	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// Start starts this program again with setting, such as "NAME=value", in its
// environment, on one CPU, or any if cpu is negative. wrap goes before its
// command line. The caller must Stop the child; the end of ctx kills it.
func Start(ctx context.Context, setting string, cpu int, wrap ...string) (*Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argv := append(append(wrap, Pin(cpu)...), self)
	c := &Child{cmd: exec.CommandContext(ctx, argv[0], argv[1:]...)}
	c.cmd.Env = append(os.Environ(), setting)
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	line, err := c.out.ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the child did not start: %w", err), c.Stop())
	}
	c.Greeting = strings.TrimSpace(line)
	return c, nil
}

// Ask sends question as a line of JSON and decodes the child's line into
// answer.
func (c *Child) Ask(question, answer any) error {
	if err := json.NewEncoder(c.in).Encode(question); err != nil {
		return fmt.Errorf("the child has gone: %w", err)
	}
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the child has gone: %w", err)
	}
	return json.Unmarshal(line, answer)
}

// Stop ends the process and waits for it.
func (c *Child) Stop() error {
	c.in.Close()
	return c.cmd.Wait()
}
