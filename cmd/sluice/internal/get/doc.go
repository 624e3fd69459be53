// Package get is what "sluice get" does: it fetches URLs side by side, and shows what that takes.
package get
