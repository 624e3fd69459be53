//go:build unix

package conformance

import (
	"os/exec"
	"syscall"
)

// ownGroup puts the program into a process group of its own: a browser is many processes. The whole
// group is killed when the program's context ends, and kill does so for processes that it has left
// behind.
func ownGroup(cmd *exec.Cmd) (kill func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return func() {
		if cmd.Process != nil {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // ESRCH, mostly: all have ended
		}
	}
}
