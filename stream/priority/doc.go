// Package priority decides which stream sends next.
package priority
