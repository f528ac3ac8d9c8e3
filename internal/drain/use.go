package drain

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// From linux/netfilter/nfnetlink_conntrack.h.
const (
	messageStats = 1<<8 | 5 // IPCTNL_MSG_CT_GET_STATS

	ctaStatsEntries = 1 // CTA_STATS_GLOBAL_ENTRIES
	ctaStatsMax     = 2 // CTA_STATS_GLOBAL_MAX_ENTRIES, since Linux 5.0
)

// useTimeout is how long the kernel may take, which answers at once.
const useTimeout = 2 * time.Second

// Use returns how many entries the table of conntrack has in this network
// namespace, and how many it may have at most. Where conntrack is not in use
// both are 0. It takes 2 s at most.
func Use() (entries, most int, err error) {
	b, err := askUse()
	if err == nil {
		entries, most, err = parseUse(b)
	}
	switch {
	case isRefused(err):
		return 0, 0, nil
	case err != nil:
		return 0, 0, fmt.Errorf("read conntrack's use: %w", err)
	}
	return entries, most, nil
}

// askUse sends the question and returns the answer. It does so without the
// netlink package, which believes the answer that more follows, and waits.
func askUse() ([]byte, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(int64(useTimeout))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return nil, err
	}
	req, err := (netlink.Message{
		Header: netlink.Header{Length: unix.NLMSG_HDRLEN + headerLen, Type: messageStats, Flags: netlink.Request},
		Data:   []byte{unix.AF_UNSPEC, 0, 0, 0},
	}).MarshalBinary()
	if err != nil {
		return nil, err
	}
	if err := unix.Sendto(fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	answer := make([]byte, 4096)
	n, from, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return nil, err
	}
	if kernel, ok := from.(*unix.SockaddrNetlink); !ok || kernel.Pid != 0 {
		return nil, errors.New("the answer is not the kernel's")
	}
	return answer[:n], nil
}

// parseUse decodes an answer to messageStats.
func parseUse(b []byte) (entries, most int, err error) {
	if len(b) < unix.NLMSG_HDRLEN+headerLen {
		return 0, 0, fmt.Errorf("statistics of %d bytes", len(b))
	}
	switch binary.NativeEndian.Uint16(b[4:]) {
	case unix.NLMSG_ERROR:
		return 0, 0, unix.Errno(-int32(binary.NativeEndian.Uint32(b[unix.NLMSG_HDRLEN:])))
	case messageStats:
	default:
		return 0, 0, errors.New("an answer to something else")
	}
	length := min(int(binary.NativeEndian.Uint32(b)), len(b))
	if length < unix.NLMSG_HDRLEN+headerLen {
		return 0, 0, fmt.Errorf("statistics of %d bytes", length)
	}
	ad, err := netlink.NewAttributeDecoder(b[unix.NLMSG_HDRLEN+headerLen : length])
	if err != nil {
		return 0, 0, err
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		switch ad.Type() {
		case ctaStatsEntries:
			entries = int(ad.Uint32())
		case ctaStatsMax:
			most = int(ad.Uint32())
		}
	}
	return entries, most, ad.Err()
}
