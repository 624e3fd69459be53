package conn

import (
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/stream/priority"
)

// Priority returns the priority of the stream: what the client has asked for, or what SetPriority
// and MergePriority have made of it. Urgency and Incremental mean nothing where Extensible is not
// set, and neither does the tree's part where Tree is not.
func (st *Stream) Priority() priority.Params {
	st.c.mu.Lock()
	defer st.c.mu.Unlock()
	return st.cs.Priority()
}

// SetPriority changes the priority of the stream. A part that p does not state stays as it is, and
// an urgency above 7 is 7.
//
// On a server it decides when what is written on the stream is sent, and whatever p states holds
// from then on, whatever the client asks for (RFC 9218 §8).
//
// A client asks the server for it: with PRIORITY_UPDATE (RFC 9218 §7.1), and with PRIORITY (RFC
// 7540 §6.3) where Config.TreePriorities is set and the server has not said that it ignores that.
// RFC 9218 §2.1.1 would have clients send PRIORITY_UPDATE only to servers that have said so. We
// send it to all: it is what our caller asks for, and a server that does not know it ignores it.
//
// The error is core.ErrPriority for a stream that would depend on itself, core.ErrClosed when there
// is nothing left to prioritize, and that of the stream or connection when that has died.
func (st *Stream) SetPriority(p priority.Params) error {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	switch {
	case st.err != nil:
		return st.err
	case c.mu.phase != phaseOpen:
		return c.endErrLocked()
	}
	c.ensureOutputLocked()
	err := c.core.SetPriority(&st.cs, p)
	if c.core.OutputLen() > 0 {
		c.flushSoonLocked()
	}
	c.dropOutputLocked()
	return err
}

// MergePriority is SetPriority with the value of a priority field, as a response has it: the
// parameters that it states take the place of the client's, the others stay as they are (RFC 9218
// §8). A value that is not valid is ignored. Server only. WriteHeaders and Reply do not look for
// such a field.
func (st *Stream) MergePriority(value string) {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	if st.err == nil && c.mu.phase == phaseOpen {
		c.core.MergePriority(&st.cs, value)
	}
}

// withPriorityField returns the fields with a priority field, if p states something that belongs
// there and there is none.
func withPriorityField(fields []header.Field, p priority.Params) []header.Field {
	if !p.Extensible {
		return fields
	}
	for i := range fields {
		if fields[i].Name == "priority" {
			return fields
		}
	}
	return append(fields[:len(fields):len(fields)], header.Field{Name: "priority", Value: p.Field()})
}
