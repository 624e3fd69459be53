package socket

// tcpNotsentLowat is TCP_NOTSENT_LOWAT: the socket is writable while fewer octets than that wait to
// be sent for the first time.
const tcpNotsentLowat = 0x201
