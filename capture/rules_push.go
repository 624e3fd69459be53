package capture

import "github.com/sluice-go/sluice/frame"

// pushRules are about PUSH_PROMISE (RFC 9113 §6.6, §8.4).
var pushRules = []rule{
	{
		Rule: Rule{
			ID: "push-by-client", Group: "Push", Section: "RFC 9113 §8.4", Severity: Error,
			Title: "a client has sent PUSH_PROMISE",
			Text:  "Only servers push. The server ends the connection with PROTOCOL_ERROR.",
		},
		roles:  true,
		frames: types(frame.TypePushPromise),
		check: func(_ *lint, f *Frame) *offence {
			if f.Dir != Client {
				return nil
			}
			return offend(f, "the client has sent PUSH_PROMISE")
		},
	},
	{
		Rule: Rule{
			ID: "push-disabled", Group: "Push", Section: "RFC 9113 §8.4", Severity: Error,
			Title: "the client does not take pushes",
			Text: "The server has acknowledged SETTINGS_ENABLE_PUSH of 0, and promises a stream. The client ends the " +
				"connection with PROTOCOL_ERROR.",
		},
		frames: types(frame.TypePushPromise),
		check: func(l *lint, f *Frame) *offence {
			s := &l.sides[Client].settings
			if f.Dir != Server || s.unsure || l.anyLossy() || s.acked[frame.SettingEnablePush] == 1 {
				return nil
			}
			return offend(f, "the server promises a stream, though SETTINGS_ENABLE_PUSH of the client is 0")
		},
	},
	{
		Rule: Rule{
			ID: "promised-id", Group: "Push", Section: "RFC 9113 §5.1.1", Severity: Error,
			Title: "the promised stream is not a new one",
			Text: "Promised streams have even identifiers, each higher than all before. The client ends the connection with " +
				"PROTOCOL_ERROR.",
		},
		roles:  true,
		frames: types(frame.TypePushPromise),
		check: func(l *lint, f *Frame) *offence {
			p, ok := f.Parsed.(frame.PushPromise)
			side := &l.sides[Server]
			if !ok || f.Dir != Server || p.PromisedID%2 == 0 && (p.PromisedID > side.highest || side.lossy) {
				return nil
			}
			return offend(f, "the server promises stream %d, which is not a new one of its own", p.PromisedID)
		},
	},
	{
		Rule: Rule{
			ID: "push-refused", Group: "Push", Section: "RFC 9113 §8.4.2", Severity: Note,
			Title: "a client does not want what is pushed",
			Text: "It has reset the promised stream. Pushing what clients have in their cache wastes the path; 103 " +
				"(Early Hints) does not.",
		},
		frames: types(frame.TypeRSTStream), once: perStream,
		check: func(l *lint, f *Frame) *offence {
			st := l.get(f.Header.StreamID)
			if st == nil || f.Dir != Client || !st.promised || st.end[Server] {
				return nil
			}
			return offend(f, "the client resets stream %d, which is pushed", st.id)
		},
	},
}
