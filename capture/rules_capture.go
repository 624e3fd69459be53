package capture

// captureRules are about what is missing in the capture itself.
var captureRules = []rule{
	{
		Rule: Rule{
			ID: "octets-missing", Group: "Capture", Severity: Error,
			Title: "octets are missing",
			Text: "Octets that were sent are not in the capture: it has lost packets, or cut them off (`tcpdump -s 0` " +
				"keeps them whole). There is one finding for each gap. What the octets may have been is not guessed: " +
				"windows, and the streams that were open, are not judged from then on.",
		},
		kind: onGap, on: func(l *lint, e *lintEvent) []*offence { return missing(e.gap, "lost", "cut") },
	},
	{
		Rule: Rule{
			ID: "octets-undecrypted", Group: "Capture", Severity: Warning,
			Title: "octets could not be decrypted",
			Text: "The key log has no secret for a part of the connection, such as one after KeyUpdate, or early data. " +
				"A key log has to be written from before the connection begins until after it ends.",
		},
		kind: onGap, on: func(l *lint, e *lintEvent) []*offence { return missing(e.gap, "undecrypted") },
	},
	{
		Rule: Rule{
			ID: "start-missing", Group: "Capture", Severity: Note,
			Title: "the start of the connection is not in the capture",
			Text: "The capture begins in the midst of the connection. Fields that HPACK refers to may be unknown, and " +
				"windows, settings and the streams that were open are not judged.",
		},
		kind: onOpen, on: func(l *lint, e *lintEvent) []*offence {
			if !l.s.info.StartMissing {
				return nil
			}
			return []*offence{{text: "the capture begins in the midst of the connection", time: e.time}}
		},
	},
}

// missing is the offence of a Gap with one of these reasons.
func missing(g *Gap, reasons ...string) []*offence {
	for _, r := range reasons {
		if g.Reason == r {
			return []*offence{{text: g.Text, time: g.Time, dir: g.Dir}}
		}
	}
	return nil
}
