// The idiom of Go's servers, as in go-systemd.
package main

import (
	"net"
	"os"
	"time"
)

func main() {
	address := &net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"}
	connection, err := net.DialUnix(address.Net, nil, address)
	if err != nil {
		panic(err)
	}
	if _, err = connection.Write([]byte("READY=1")); err != nil {
		panic(err)
	}
	connection.Close()
	time.Sleep(1000 * time.Second)
}
