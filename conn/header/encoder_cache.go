package header

// encodedBlock is a cache of one block, the one before, as decodedBlock is for the decoder. A
// server that repeats a response repeats the octets of its block once the table has its fields: a
// block that did not change the encoder can be sent again until another block, or another table
// size, comes in between. To compare the fields takes a third of encoding them.
type encodedBlock struct {
	octets []byte  // the block; empty if it was longer than maxCachedBlock, or has changed the encoder
	fields []Field // the fields of octets; empty until the block has come twice
}

// matches reports whether the block is that of fields.
func (l *encodedBlock) matches(fields []Field) bool {
	if len(fields) == 0 || len(fields) != len(l.fields) {
		return false
	}
	for i := len(fields) - 1; i >= 0; i-- { // a difference is likely to be at the end
		if a, b := &fields[i], &l.fields[i]; a.Value != b.Value || a.Name != b.Name || a.Sensitive != b.Sensitive {
			return false
		}
	}
	return true
}

// store keeps a block of these fields that did not change the encoder.
func (l *encodedBlock) store(octets []byte, fields []Field) {
	switch {
	case len(octets) > maxCachedBlock:
		l.reset()
	case string(octets) != string(l.octets):
		l.reset()
		l.octets = append(l.octets, octets...)
	case len(fields) <= maxCachedBlockFields:
		l.fields = append(l.fields[:0], fields...)
	}
}

// reset empties the cache: the encoder has changed.
func (l *encodedBlock) reset() {
	clear(l.fields)
	l.octets, l.fields = l.octets[:0], l.fields[:0]
}
