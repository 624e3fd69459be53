package core

// fits tells whether a field of that size is within the limits.
func (d *blockDecoder) fits(size uint64) bool {
	return !d.m.TooLarge && d.octets+size <= d.maxOctets && d.lines < d.maxFields
}

// emit puts one field line into the message. Those that come after the limits have been exceeded are dropped.
func (d *blockDecoder) emit(e *tableEntry, never bool) {
	m := &d.m
	size := e.size()
	if !d.fits(size) {
		m.TooLarge = true
		return
	}
	d.octets += size
	d.lines++
	if e.fault != faultNone {
		m.note(e.fault)
	}
	if e.kind == kindPlain {
		d.addField(e, never)
		return
	}
	d.emitSpecial(e, never)
}

// note records a fault; the first one counts.
func (m *Message) note(f fault) {
	if m.fault == faultNone {
		m.fault = f
	}
}

func (d *blockDecoder) addField(e *tableEntry, never bool) {
	if d.m.Fields == nil {
		d.m.Fields = make([]Field, 0, 8)
	}
	d.m.Fields = append(d.m.Fields, Field{Name: e.name, Value: e.value, Sensitive: never})
}

// emitSpecial is emit for fields that mean something to HTTP/2. Those whose name is malformed are not kept.
func (d *blockDecoder) emitSpecial(e *tableEntry, never bool) {
	m := &d.m
	switch e.kind {
	case kindMethod, kindScheme, kindAuthority, kindPath, kindProtocol, kindStatus:
		m.addPseudo(e)
	case kindHost:
		if m.hosts == 0 {
			m.host = e.value
		}
		m.hosts = min(m.hosts+1, 2)
		d.addField(e, never)
	case kindCookie:
		d.addCookie(e, never)
	case kindContentLength:
		// RFC 9110 §8.6 leaves it to us whether equal ones are one. They never come from an honest sender.
		if m.ContentLength >= 0 {
			m.note(faultDuplicateContentLength)
		} else if e.fault == faultNone {
			m.ContentLength = e.num
		}
		d.addField(e, never)
	case kindTE:
		m.te = true
		d.addField(e, never)
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

// addCookie keeps the first cookie as a field and the others as crumbs for joinCookies.
func (d *blockDecoder) addCookie(e *tableEntry, never bool) {
	if d.cookie == 0 {
		d.addField(e, never)
		d.cookie = len(d.m.Fields)
		return
	}
	d.crumbs = append(d.crumbs, e.value)
	if never {
		d.m.Fields[d.cookie-1].Sensitive = true
	}
}
