package capture

// hideFields replaces the values of fields that are secrets.
func hideFields(fields []Field) {
	for i := range fields {
		switch fields[i].Name {
		case "authorization", "cookie", "set-cookie", "proxy-authorization":
			fields[i].Value, fields[i].Hidden = "(hidden)", true
		}
	}
}
