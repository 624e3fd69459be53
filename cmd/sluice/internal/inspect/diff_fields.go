package inspect

import (
	"slices"
	"strings"

	"github.com/sluice-go/sluice/capture"
)

// maxReordered bounds the fields of a section whose order is compared line by line.
const maxReordered = 1000

// sections writes what differs in two header sections, and reports whether something does. Names
// are compared without regard to case, which HTTP/1.1 leaves to the sender.
func (c *comparison) sections(what string, a, b []capture.Field) bool {
	valuesA, valuesB := valuesByName(a), valuesByName(b)
	differs := false
	seen := map[string]bool{}
	for _, f := range append(slices.Clone(a), b...) {
		name := strings.ToLower(f.Name)
		if seen[name] || strings.HasPrefix(name, ":") {
			continue
		}
		seen[name] = true
		if slices.Equal(valuesA[name], valuesB[name]) {
			continue
		}
		differs = true
		removed, added := missingIn(valuesA[name], valuesB[name]), missingIn(valuesB[name], valuesA[name])
		switch {
		case len(removed) == 1 && len(added) == 1:
			c.change('~', what, name+": "+removed[0]+" → "+added[0])
		case len(removed)+len(added) == 0:
			c.change('~', what, name+": the same lines in another order")
		}
		if len(removed) == 1 && len(added) == 1 {
			continue
		}
		for _, v := range removed {
			c.change('-', what, name+": "+v)
		}
		for _, v := range added {
			c.change('+', what, name+": "+v)
		}
	}
	if moved := reordered(namesIn(a, valuesB), namesIn(b, valuesA)); len(moved) > 0 {
		differs = true
		c.change('~', what, "fields stand in another order: "+strings.Join(moved, ", "))
	}
	return differs
}

// valuesByName has the values of each name, in their order.
func valuesByName(fields []capture.Field) map[string][]string {
	values := map[string][]string{}
	for i := range fields {
		name := strings.ToLower(fields[i].Name)
		values[name] = append(values[name], fields[i].Value)
	}
	return values
}

// missingIn returns the elements of a that b does not have, each as often as it is missing.
func missingIn(a, b []string) (missing []string) {
	left := map[string]int{}
	for _, v := range b {
		left[v]++
	}
	for _, v := range a {
		if left[v]--; left[v] < 0 {
			missing = append(missing, v)
		}
	}
	return missing
}

// namesIn returns the names of fields that others has, too, each once, in the order of their first
// line.
func namesIn(fields []capture.Field, others map[string][]string) (names []string) {
	seen := map[string]bool{}
	for i := range fields {
		name := strings.ToLower(fields[i].Name)
		if others[name] != nil && !seen[name] && !strings.HasPrefix(name, ":") {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// reordered returns the fewest names whose move makes b of a, which have the same names.
func reordered(a, b []string) []string {
	if slices.Equal(a, b) {
		return nil
	}
	if len(a) > maxReordered {
		return []string{"many"}
	}
	// longest[i][j] is the length of the longest common subsequence of a[i:] and b[j:].
	longest := make([][]int16, len(a)+1)
	for i := range longest {
		longest[i] = make([]int16, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	var moved []string
	for i, j := 0, 0; i < len(a); {
		switch {
		case j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || longest[i+1][j] >= longest[i][j+1]:
			moved = append(moved, a[i])
			i++
		default:
			j++
		}
	}
	return moved
}
