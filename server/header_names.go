package server

import "github.com/sluice-go/sluice/conn/header"

// headerNames are the names of a header section in their order, for the next one: the requests of a
// client mostly have the same fields.
type headerNames [32]*header.Name

// maxKeptName bounds the memory that one of headerNames can hold.
const maxKeptName = 64

// byLower is header.ByLower for the ith field of a header section.
func (l *headerNames) byLower(i int, lower string) *header.Name {
	if i >= len(l) {
		return header.ByLower(lower)
	}
	if n := l[i]; n != nil && n.Lower == lower {
		return n
	}
	n := header.ByLower(lower)
	if len(lower) <= maxKeptName {
		l[i] = n
	}
	return n
}
