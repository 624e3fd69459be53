// Package reverse is what the command "sluice tunnel" does: one side of a reverse tunnel. The inner
// side, with --reverse, dials out and serves what it allows; the outer side accepts inner sides and
// listens for what is to be sent through them. The command itself only turns flags into [Options].
package reverse
