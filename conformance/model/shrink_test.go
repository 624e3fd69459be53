package model

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// tries is how often a script is played before it is taken for one that passes: the order in which
// goroutines run is Go's.
const tries = 6

// shrinker makes a script that fails shorter.
type shrinker struct {
	fails func(script) bool
	until time.Time
	best  script
}

// shrink returns a shorter script that fails too, by the function.
func shrink(s script, limit time.Duration, fails func(script) bool) script {
	z := &shrinker{fails: fails, until: time.Now().Add(limit), best: s}
	for z.round() && time.Now().Before(z.until) {
		continue
	}
	return z.best
}

// take keeps a candidate if it fails.
func (z *shrinker) take(candidate script) bool {
	if time.Now().After(z.until) || !z.fails(candidate) {
		return false
	}
	z.best = candidate
	return true
}

// round tries everything once, and reports whether something was of use.
func (z *shrinker) round() bool {
	used := false
	for n := len(z.best) / 2; n > 0; n /= 2 { // whole operations
		for i := len(z.best) - n; i > 0; i -= n {
			used = z.take(slices.Delete(slices.Clone(z.best), i, i+n)) || used
			i = min(i, len(z.best)-n+1)
		}
	}
	for i := range z.best {
		for k := len(z.best[i].args) - 1; k >= 0; k-- {
			used = z.argument(i, k) || used
		}
	}
	return used
}

// argument leaves out one parameter, or makes it smaller.
func (z *shrinker) argument(i, k int) bool {
	a := z.best[i].args[k]
	if a.key == "id" || a.key == "m" || a.key == "mutate" {
		return false
	}
	without := func(o *op) { o.args = slices.Delete(o.args, k, k+1) }
	if z.edit(i, without) {
		return true
	}
	used := false
	for _, v := range smaller(a.value) {
		if z.edit(i, func(o *op) { o.args[k].value = v }) {
			used = true
			break
		}
	}
	return used
}

// edit tries a change of one operation.
func (z *shrinker) edit(i int, change func(*op)) bool {
	s := slices.Clone(z.best)
	s[i].args = slices.Clone(s[i].args)
	change(&s[i])
	return z.take(s)
}

// smaller returns simpler values: smaller numbers, plans without a call or with smaller numbers.
func smaller(value string) []string {
	if n, err := strconv.Atoi(value); err == nil {
		return lesser(n, "")
	}
	var values []string
	calls := strings.Split(value, ",")
	for i, c := range calls {
		if len(calls) > 1 {
			values = append(values, strings.Join(slices.Delete(slices.Clone(calls), i, i+1), ","))
		}
		if n, err := strconv.Atoi(c[min(1, len(c)):]); err == nil && !strings.ContainsAny(c[:1], "hi") {
			for _, less := range lesser(n, c[:1]) {
				changed := slices.Clone(calls)
				changed[i] = less
				values = append(values, strings.Join(changed, ","))
			}
		}
	}
	return values
}

func lesser(n int, prefix string) []string {
	var values []string
	for _, m := range []int{0, 1, n / 10, n / 2, n - n%1000, n - n%100, n - n%10} {
		if m < n {
			values = append(values, prefix+strconv.Itoa(m))
		}
	}
	return values
}
