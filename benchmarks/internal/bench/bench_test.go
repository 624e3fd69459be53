package bench

import (
	"os"
	"reflect"
	"runtime"
	"testing"
	"time"
)

func TestParseCPUs(t *testing.T) {
	for list, want := range map[string][]int{
		"0-1": {0, 1}, "3": {3}, "0-2,5,7-8": {0, 1, 2, 5, 7, 8}, "": nil, "x-1": nil, "1-y": nil,
	} {
		if got := parseCPUs(list); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, want %v", list, got, want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		v    []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := Median(tt.v); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.v, got, tt.want)
		}
	}
}

func TestRatios(t *testing.T) {
	if got, want := Ratios([]float64{1, 2, 3}, []float64{2, 2}), []float64{0.5, 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := []float64{Per(10, 4), Per(10, 0)}; !reflect.DeepEqual(got, []float64{2.5, 0}) {
		t.Errorf("Per: %v", got)
	}
}

// What a process uses grows with what it does.
func TestUsage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what a process uses is only known on Linux")
	}
	before, err := CPUOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < 5*time.Millisecond; {
	}
	after, err := CPUOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if used := after - before; used <= 0 || used > 10*time.Second {
		t.Errorf("%v and then %v", before, after)
	}
	if octets, err := MemoryOf(os.Getpid()); err != nil || octets < 1<<20 {
		t.Errorf("%d octets, %v", octets, err)
	}
	for _, pid := range []int{0, -1} {
		if _, err := CPUOf(pid); err == nil {
			t.Errorf("there is a process %d", pid)
		}
	}
	if _, err := MemoryOf(0); err == nil {
		t.Error("process 0 has memory")
	}
}

// A process counts with those that it has started, and ends when it is told.
func TestProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what a process uses is only known on Linux")
	}
	cmd := Command(t.Context(), -1, "sh", "-c", "sleep 60 & echo started; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := StartProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	pids := tree(cmd.Process.Pid)
	if len(pids) != 2 {
		t.Errorf("processes %v, want two", pids)
	}
	own, err := MemoryOf(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := p.Memory(); err != nil || all <= own {
		t.Errorf("memory %d, of the shell alone %d, %v", all, own, err)
	}
	if cpu, err := p.CPU(); err != nil || cpu <= 0 {
		t.Errorf("CPU time %v, %v", cpu, err)
	}
	for _, pid := range pids[1:] {
		if sleep, err := os.FindProcess(pid); err == nil {
			_ = sleep.Kill()
		}
	}
	p.Stop()
	if p.cmd.ProcessState == nil {
		t.Error("it has not ended")
	}
}
