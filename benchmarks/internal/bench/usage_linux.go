package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// CPUOf returns the user and system time of a process so far, that of ended threads included.
func CPUOf(pid int) (time.Duration, error) {
	// The clock of another process (clock_getcpuclockid) counts nanoseconds,
	// where /proc/PID/stat has ticks of 10 ms.
	const processClock = 2
	clock := int32(^pid<<3 | processClock)
	var ts syscall.Timespec
	_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&ts)), 0)
	if errno != 0 || pid <= 0 {
		return 0, fmt.Errorf("the CPU time of process %d: %w", pid, cmpErrno(errno))
	}
	return time.Duration(ts.Nano()), nil
}

func cmpErrno(errno syscall.Errno) error {
	if errno == 0 {
		return syscall.ESRCH
	}
	return errno
}

// CallsOf returns how many system calls of a process have read and written so far, of files and
// sockets alike; zeros where the kernel was built without accounting. Calls of recv and send do not
// count, so it is for programs in Go, which use read and write.
func CallsOf(pid int) (reads, writes int64) {
	forLines(fmt.Sprintf("/proc/%d/io", pid), func(name string, value int64) {
		switch name {
		case "syscr":
			reads = value
		case "syscw":
			writes = value
		}
	})
	return reads, writes
}

// MemoryOf returns the proportional set size of a process, in octets: its
// pages, those that it shares with others divided among them.
func MemoryOf(pid int) (octets int64, err error) {
	forLines(fmt.Sprintf("/proc/%d/smaps_rollup", pid), func(name string, value int64) {
		if name == "Pss" {
			octets = value << 10
		}
	})
	if octets == 0 {
		return 0, fmt.Errorf("the memory of process %d is not known", pid)
	}
	return octets, nil
}

// forLines calls f for each line such as "name: 12 kB".
func forLines(file string, f func(name string, value int64)) {
	b, err := os.ReadFile(file)
	if err != nil {
		return
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		value, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			f(name, n)
		}
	}
}

// tree returns a process and its descendants.
func tree(pid int) []int {
	all := []int{pid}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return all
	}
	for _, task := range tasks {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue // the thread has ended
		}
		for child := range strings.FieldsSeq(string(b)) {
			if n, err := strconv.Atoi(child); err == nil {
				all = append(all, tree(n)...)
			}
		}
	}
	return all
}

// PeakOf returns the most memory that a process which has ended has had, in octets.
func PeakOf(s *os.ProcessState) int64 {
	r, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return int64(r.Maxrss) << 10 //nolint:unconvert // an int32 on 32 bits
}
