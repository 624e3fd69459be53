package capture

import "github.com/sluice-go/sluice/frame"

// flowRules are about windows (RFC 9113 §5.2, §6.9). The ledger, which counts them with package
// flow, sees a frame before the rules do.
var flowRules = []rule{
	{
		Rule: Rule{
			ID: "window-exceeded", Group: "Flow control", Section: "RFC 9113 §6.9.1", Severity: Error,
			Title: "DATA beyond the window",
			Text: "The side has sent more than the other one has given credit for, with padding counted: on the " +
				"stream, or on the connection. The receiver answers FLOW_CONTROL_ERROR.",
		},
		crosses: true,
		frames:  types(frame.TypeData),
		check: func(l *lint, f *Frame) *offence {
			switch e := l.s.ledger.excess; {
			case e.stream > 0:
				return offend(f, "%s has %d octets more than the window of the stream", frameOn(f.Header), e.stream)
			case e.conn > 0:
				return offend(f, "%s has %d octets more than the window of the connection", frameOn(f.Header), e.conn)
			}
			return nil
		},
	},
	{
		Rule: Rule{
			ID: "window-overflow", Group: "Flow control", Section: "RFC 9113 §6.9.1", Severity: Error,
			Title: "a window becomes larger than 2^31-1",
			Text: "WINDOW_UPDATE, or SETTINGS_INITIAL_WINDOW_SIZE, takes a window beyond 2,147,483,647 octets. The " +
				"sender of DATA answers FLOW_CONTROL_ERROR.",
		},
		crosses: true,
		frames:  types(frame.TypeWindowUpdate, frame.TypeSettings),
		check: func(l *lint, f *Frame) *offence {
			if !l.s.ledger.excess.overflow {
				return nil
			}
			o := offend(f, "%v of %v takes a window beyond 2^31-1 octets", f.Header.Type, sideName(f.Dir))
			if f.Header.Type == frame.TypeSettings { // found when it is acknowledged
				o = offend(f, "SETTINGS_INITIAL_WINDOW_SIZE of %v takes a window beyond 2^31-1 octets",
					sideName(f.Dir.Other())).by(f.Dir.Other())
			}
			return o
		},
	},
}
