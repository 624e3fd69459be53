// Package watch shows and records what the commands that serve do: a live page of the frames of
// their connections, a capture of the octets below TLS, and a key log. The commands have the same
// flags for it: [Options].
package watch
