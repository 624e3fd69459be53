//go:build race

package client

// raceEnabled says that the race detector runs, which has pools drop some of what they are given.
const raceEnabled = true
