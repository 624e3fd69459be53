package header

// lastEncoded is the block before, the other side of lastBlock. A server that gives the same answer
// over and over writes the same octets over and over once the table has its fields: those of a
// block that has left the encoder as it was mean the same again until another block has come, or
// another table size. To compare the fields takes a third of encoding them.
type lastEncoded struct {
	octets []byte  // none if the block was a long one or has changed the encoder
	fields []Field // what they say; none until they have come twice
}

// is tells whether the block says the same as fields.
func (l *lastEncoded) is(fields []Field) bool {
	if len(fields) == 0 || len(fields) != len(l.fields) {
		return false
	}
	for i := len(fields) - 1; i >= 0; i-- { // what changes is likely to be at the end
		if a, b := &fields[i], &l.fields[i]; a.Value != b.Value || a.Name != b.Name || a.Sensitive != b.Sensitive {
			return false
		}
	}
	return true
}

// note takes a block of these fields, which has left the encoder as it was.
func (l *lastEncoded) note(octets []byte, fields []Field) {
	switch {
	case len(octets) > lastOctets:
		l.forget()
	case string(octets) != string(l.octets):
		l.forget()
		l.octets = append(l.octets, octets...)
	case len(fields) <= lastFields:
		l.fields = append(l.fields[:0], fields...)
	}
}

// forget is for what changes the encoder.
func (l *lastEncoded) forget() {
	clear(l.fields)
	l.octets, l.fields = l.octets[:0], l.fields[:0]
}
