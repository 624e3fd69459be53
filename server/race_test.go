//go:build race

package server

// raceEnabled: with the race detector, pools lose things on purpose.
const raceEnabled = true
