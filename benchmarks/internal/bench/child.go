package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// A Child is a process that is written for the comparison: it writes a greeting of one line, and a
// line of JSON for each line of JSON that it reads, until its input ends.
type Child struct {
	*Process
	Greeting string // without its line feed

	in  io.WriteCloser
	out *bufio.Reader
}

// Start starts a child with setting, such as "NAME=value", in its environment, on one CPU, or on
// any if cpu is negative. argv is its command line; without one, it is this program again, so that
// both sides of a comparison come from the same compiler. wrap goes before argv. The caller must
// Stop the child; the end of ctx kills it.
func Start(ctx context.Context, setting string, cpu int, wrap []string, argv ...string) (*Child, error) {
	if len(argv) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		argv = []string{self}
	}
	cmd := Command(ctx, -1, append(append(wrap, Pin(cpu)...), argv...)...)
	cmd.Env = append(os.Environ(), setting)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c := &Child{in: in, out: bufio.NewReader(out)}
	if c.Process, err = StartProcess(cmd); err != nil {
		return nil, err
	}
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

// Stop ends the process by ending its input, and waits for it.
func (c *Child) Stop() error {
	c.in.Close()
	return c.cmd.Wait()
}
