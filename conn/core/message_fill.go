package core

// fits tells whether a field of that size is within the limits.
func (d *blockDecoder) fits(size uint64) bool { return size <= d.octetsLeft && d.linesLeft > 0 }

// tooLarge ends what is collected of the message.
func (d *blockDecoder) tooLarge() {
	d.m.TooLarge = true
	d.octetsLeft, d.linesLeft = 0, 0
}

// emit puts one field line into the message. Those that come after the limits have been exceeded are dropped.
func (d *blockDecoder) emit(e *tableEntry, never bool) {
	size := uint64(e.octets)
	if !d.fits(size) {
		d.tooLarge()
		return
	}
	d.octetsLeft -= size
	d.linesLeft--
	m := &d.m
	if e.fault != faultNone {
		m.note(e.fault)
	}
	switch {
	case e.kind == kindPlain:
		m.addField(e, never)
	case e.kind <= kindStatus:
		m.addPseudo(e)
	default:
		d.emitSpecial(e, never)
	}
}

// note records a fault; the first one counts.
func (m *Message) note(f fault) {
	if m.fault == faultNone {
		m.fault = f
	}
}

func (m *Message) addField(e *tableEntry, never bool) {
	if cap(m.Fields) == 0 {
		m.Fields = make([]Field, 0, 8)
	}
	m.Fields = append(m.Fields, Field{Name: e.name, Value: e.value, Sensitive: never})
}

// emitSpecial is emit for regular fields that mean something to HTTP/2. Those whose name is malformed are not kept.
func (d *blockDecoder) emitSpecial(e *tableEntry, never bool) {
	m := &d.m
	switch e.kind {
	case kindHost:
		if m.hosts == 0 {
			m.host = e.value
		}
		m.hosts = min(m.hosts+1, 2)
		m.addField(e, never)
	case kindCookie:
		d.addCookie(e, never)
	case kindContentLength:
		// RFC 9110 §8.6 leaves it to us whether equal ones are one. They never come from an honest sender.
		if m.ContentLength >= 0 {
			m.note(faultDuplicateContentLength)
		} else if e.fault == faultNone {
			m.ContentLength = e.num
		}
		m.addField(e, never)
	case kindTE:
		m.te = true
		m.addField(e, never)
	}
}

// addPseudo keeps a pseudo-header field (RFC 9113 §8.3), the first of its name.
func (m *Message) addPseudo(e *tableEntry) {
	bit := pseudoSet(1) << (e.kind - kindMethod)
	if m.seen&bit != 0 {
		m.note(faultDuplicatePseudo)
		return
	}
	if len(m.Fields) > 0 {
		m.note(faultLatePseudo)
	}
	m.seen |= bit
	switch e.kind {
	case kindMethod:
		m.Method = e.value
	case kindScheme:
		m.Scheme = e.value
	case kindAuthority:
		m.Authority = e.value
	case kindPath:
		m.Path = e.value
	case kindProtocol:
		m.Protocol = e.value
	case kindStatus:
		if e.fault == faultNone {
			m.Status = int(e.num)
		}
	}
}
