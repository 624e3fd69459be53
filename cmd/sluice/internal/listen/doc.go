// Package listen opens the listeners of the commands that serve, with their certificate, and says
// what to do where that fails. The commands have the same flags for it: [Options].
package listen
