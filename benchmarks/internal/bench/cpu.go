package bench

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Pin returns a command line that keeps the command behind it on one CPU. It is empty if cpu is
// negative.
func Pin(cpu int) []string {
	if cpu < 0 {
		return nil
	}
	return []string{"taskset", "-c", strconv.Itoa(cpu)}
}

// TwoCPUs returns the first two CPUs that this process may use, or -1, -1 when
// it cannot pin.
func TwoCPUs() (first, second int) {
	if _, err := exec.LookPath("taskset"); err != nil {
		return -1, -1
	}
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return -1, -1
	}
	_, list, _ := strings.Cut(string(b), "Cpus_allowed_list:")
	list, _, _ = strings.Cut(list, "\n")
	cpus := parseCPUs(strings.TrimSpace(list))
	if len(cpus) < 2 {
		return -1, -1
	}
	return cpus[0], cpus[1]
}

// parseCPUs reads a list such as "0-3,8".
func parseCPUs(list string) (cpus []int) {
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		a, err := strconv.Atoi(from)
		if err != nil {
			return nil
		}
		b := a
		if isRange {
			if b, err = strconv.Atoi(to); err != nil {
				return nil
			}
		}
		for n := a; n <= b; n++ {
			cpus = append(cpus, n)
		}
	}
	return cpus
}

// CPUModel returns the name of the processor, or "unknown".
func CPUModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
