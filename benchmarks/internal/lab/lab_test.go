package lab

import (
	"os"
	"reflect"
	"runtime"
	"testing"
	"time"
)

func TestParseCPUs(t *testing.T) {
	for list, want := range map[string][]int{"0-1": {0, 1}, "3": {3}, "0-2,5,7-8": {0, 1, 2, 5, 7, 8}, "": nil, "x-1": nil, "1-y": nil} {
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

// What the system tells from inside and from outside is the same time.
func TestUsage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the CPU time of a process is only known on Linux")
	}
	before, err := CPUOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	u, err := Use()
	if err != nil {
		t.Fatal(err)
	}
	after, err := CPUOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	inside := time.Duration(u.CPU) * time.Microsecond
	if inside < before-20*time.Millisecond || inside > after+20*time.Millisecond {
		t.Errorf("Use: %v, CPUOf: %v and %v", inside, before, after)
	}
	if _, err := CPUOf(0); err == nil {
		t.Error("there is a process 0")
	}
}
