// Package inspect is the command "sluice inspect": it shows what package capture finds in a packet
// capture, as text, JSON, tables and pictures.
package inspect
