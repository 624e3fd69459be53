package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// A Process is a program that is measured, or that measures.
type Process struct {
	cmd *exec.Cmd
}

// Command returns a command on one CPU, or on any if cpu is negative, with the standard error of
// this process. The end of ctx kills it.
func Command(ctx context.Context, cpu int, argv ...string) *exec.Cmd {
	argv = append(Pin(cpu), argv...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	return cmd
}

// StartProcess starts cmd. The caller must Stop it.
func StartProcess(cmd *exec.Cmd) (*Process, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Process{cmd: cmd}, nil
}

// CPU returns the user and system time of the process and of those that it has started.
func (p *Process) CPU() (sum time.Duration, err error) {
	for i, pid := range tree(p.cmd.Process.Pid) {
		used, err := CPUOf(pid)
		if err != nil && i == 0 {
			return 0, err
		}
		sum += used // 0 for a child that has just ended
	}
	return sum, nil
}

// Memory returns the proportional set size of the process and of those that it has started, in
// octets.
func (p *Process) Memory() (sum int64, err error) {
	for i, pid := range tree(p.cmd.Process.Pid) {
		octets, err := MemoryOf(pid)
		if err != nil && i == 0 {
			return 0, err
		}
		sum += octets
	}
	return sum, nil
}

// Calls returns how many of the process's own system calls have read and
// written: see [CallsOf].
func (p *Process) Calls() (reads, writes int64) { return CallsOf(p.cmd.Process.Pid) }

// Stop asks the process to end, kills it if it does not, and waits for it.
func (p *Process) Stop() {
	const patience = 3 * time.Second
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails where the process has ended already
	kill := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	_ = p.cmd.Wait() // its error is that of the signal
}

// FreePort returns a port of 127.0.0.1 on which no process listens, below those that the kernel
// gives to connections, so that none takes it before the process that is told to listen there.
func FreePort() (int, error) {
	const first, end = 10_000, 32_000
	var err error
	for range 100 {
		port := first + rand.IntN(end-first)
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, err
}

// AwaitListener waits until a process accepts connections at addr.
func AwaitListener(ctx context.Context, addr string) error {
	const patience = time.Minute
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("no process accepts connections"))
	defer cancel()
	for {
		nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			return nc.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", addr, context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
}
