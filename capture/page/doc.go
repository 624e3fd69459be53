// Package page makes a page of HTML of what a capture or a live connection shows: the connections,
// a waterfall of their requests, the windows of flow control, the frames and the findings.
//
// A [Writer] writes one self-contained file: its script and style are in it, and it requests
// nothing. A [Server] serves the same page over HTTP, and adds events to it as they come.
//
// # Safety
//
// What peers have sent gets into the page as JSON only, in which nothing can end the script element
// around it, and from there into the document as text only. The page's Content-Security-Policy
// allows the script and the style of this package, by their hashes, and nothing else.
//
// # Bounds
//
// A Writer keeps no events: they are written as they come, and so its memory does not grow. The
// page itself grows with them. So the number of frames in it is bounded (Options.MaxFrames), and so
// are that of other events (Options.MaxOthers) and the octets of all (Options.MaxOctets). What is
// above a bound is counted, and the page says the counts. Texts are cut off at 4,096 octets.
//
// A Server keeps the last events, in as many and as many octets, and no more for each viewer: a
// viewer that falls behind what is kept is disconnected.
package page
