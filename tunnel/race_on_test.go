//go:build race

package tunnel

// raceEnabled says that the tests run with the race detector.
const raceEnabled = true
