package main

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/test/bench/event"
)

// subscribe asks for the changes of nftables in this network namespace.
func subscribe() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return 0, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20); err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	return fd, unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, unix.NFNLGRP_NFTABLES)
}

// readCommits tells of transactions with new rules. The kernel sends the
// messages of one when it is in force, and its end last.
func readCommits(fd int) error {
	buf := make([]byte, 1<<20)
	families := map[int]bool{}
	for {
		n, err := unix.Read(fd, buf)
		now := event.Now()
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("read commits: %w", err)
		}
		messages, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return fmt.Errorf("read commits: %w", err)
		}
		for _, m := range messages {
			switch int(m.Header.Type) &^ (unix.NFNL_SUBSYS_NFTABLES << 8) {
			case unix.NFT_MSG_NEWRULE:
				if len(m.Data) > 0 {
					families[int(m.Data[0])] = true
				}
			case unix.NFT_MSG_NEWGEN:
				for nfproto, family := range map[int]int{unix.NFPROTO_IPV4: 4, unix.NFPROTO_IPV6: 6} {
					if families[nfproto] {
						tell(event.Event{At: now, Kind: event.Commit, Family: family})
					}
				}
				clear(families)
			}
		}
	}
}
