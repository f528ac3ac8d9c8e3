package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// reloads answers every SIGHUP as Type=notify-reload wants it; there is nothing
// to reload.
func reloads() {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			var now unix.Timespec
			err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
			if err == nil {
				err = notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
			}
			if err == nil {
				err = notify("READY=1")
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "server: error: reload:", err)
			}
		}
	}()
}

// notify sends systemd a message, if systemd wants any (sd_notify(3)).
func notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	// A leading @ is the abstract namespace, for package net as for systemd.
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
