package bench

import (
	"encoding/json"
	"os"
	"slices"
)

// Busy is the share of its CPU above which a process is the limit of what its peer does.
const Busy = 0.93

// Median returns the median of v, 0 for an empty v.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// Ratios returns a[i]/b[i] for each round that both have.
func Ratios(a, b []float64) (v []float64) {
	for i := range min(len(a), len(b)) {
		v = append(v, a[i]/b[i])
	}
	return v
}

// Per returns n divided by calls, 0 where calls were not counted.
func Per(n int, calls int64) float64 {
	if calls <= 0 {
		return 0
	}
	return float64(n) / float64(calls)
}

// WriteJSON writes v to a file.
func WriteJSON(file string, v any) error {
	b, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
