// Package h2test is the language in which tests of this module play one end of an HTTP/2
// connection, frame by frame.
//
// Three parts make it up:
//
//   - Builders name what is sent: Get(1), Response(1, 200).End(), Data(1, "x"), RST(1,
//     frame.Cancel). A header section is a Block, every other frame is that of package frame, and
//     Raw stands for octets of any kind.
//   - A Codec turns such items into octets and octets into items. It has the HPACK state of both
//     directions, and joins a Block that comes in several frames.
//   - Text writes an item in one line, which tests compare:
//     "HEADERS 1 :status=200 content-length=1 END_STREAM".
//
// How octets travel is for each suite to say: conn/core calls functions, conn runs in a bubble of
// testing/synctest, and conformance has sockets.
package h2test
