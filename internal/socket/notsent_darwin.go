package socket

// tcpNotsentLowat is TCP_NOTSENT_LOWAT: below as many octets that are not sent the socket is
// writable.
const tcpNotsentLowat = 0x201
