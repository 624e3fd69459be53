package model

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// The variables of the environment.
const (
	// seedVariable is the first seed. Default 1.
	seedVariable = "SLUICE_MODEL_SEED"
	// timeVariable is how long to play, "1h", in place of a number of steps.
	timeVariable = "SLUICE_MODEL_TIME"
	// stepsVariable is how many steps to play. Default 100,000.
	stepsVariable = "SLUICE_MODEL_STEPS"
)

// TestModel plays scripts made from seeds. A step is one call of the API, or one operation of a
// script. By default 100,000 steps are played from seed 1; SLUICE_MODEL_STEPS, SLUICE_MODEL_SEED
// and SLUICE_MODEL_TIME choose others:
//
//	SLUICE_MODEL_TIME=1h SLUICE_MODEL_SEED=1000000 go test -timeout 0 -run TestModel ./conformance/model
//
// A script that fails is printed as short as it could be made in some minutes.
func TestModel(t *testing.T) {
	steps, _ := strconv.Atoi(os.Getenv(stepsVariable))
	seed, _ := strconv.ParseUint(os.Getenv(seedVariable), 10, 64)
	if steps == 0 {
		steps = 100_000
	}
	if testing.Short() {
		steps /= 10
	}
	if seed == 0 {
		seed = 1
	}
	if text := os.Getenv(timeVariable); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("%s: %v", timeVariable, err)
		}
		for end := time.Now().Add(d); time.Now().Before(end) && !t.Failed(); {
			seed = playSeeds(t, seed, 100_000)
		}
		t.Logf("the next seed is %d", seed)
		return
	}
	playSeeds(t, seed, steps)
}

// playSeeds plays the scripts of seeds in a process of its own, and returns the seed after the
// last.
func playSeeds(t *testing.T, seed uint64, steps int) uint64 {
	t.Helper()
	o := child("seeds "+strconv.FormatUint(seed, 10)+" "+strconv.Itoa(steps), "", time.Hour)
	if o.fault == "" {
		return o.seed
	}
	s := generate(o.seed)
	t.Errorf("seed %d: %s\n%s", o.seed, o.fault, report(s, o))
	return o.seed + 1
}

// report makes the script that has failed short, and returns the text for a person.
func report(s script, o outcome) string {
	last := o
	short := shrink(s, shrinkTime(), func(s script) bool {
		got := child("script", s.String(), 2*stuck)
		if kind(got.fault) == kind(o.fault) {
			last = got
			return true
		}
		return false
	})
	return "The script, for TestScripts:\n" + short.String() + "\nIts output:\n" + last.out[max(0, len(last.out)-20_000):]
}

func shrinkTime() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("SLUICE_MODEL_SHRINK")); err == nil {
		return d
	}
	return 3 * time.Minute
}
