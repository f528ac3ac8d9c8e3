package doctor

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/api"
)

// fillEnv is how many entries this program makes, run on a host.
const fillEnv = "SWITCHEROO_TEST_FILL"

// The table of connections fills: first it is doubtful, then nearly full.
func TestConntrackTable(t *testing.T) {
	t.Parallel()
	s := open(t, nil, "")
	s.do("switcheroo deploy -q myapp@v1") // conntrack is in use
	most, err := strconv.Atoi(s.do("tr -d '\\n' </proc/sys/net/netfilter/nf_conntrack_max"))
	if err != nil {
		t.Fatal(err)
	}
	if most > 1<<20 {
		t.Fatalf("%d entries would have to be made", most)
	}
	fill := func(percent int) {
		s.do("env " + fillEnv + "=" + strconv.Itoa(most*percent/100) + " " + inside)
	}
	fill(75)
	s.finds(want{api.Doubtful, "conntrack-table", "nf_conntrack_max", "entries of the connection table are used (75%)",
		"sysctl -w net.netfilter.nf_conntrack_max=" + strconv.Itoa(2*most)})
	fill(92)
	s.finds(want{api.Broken, "conntrack-table", "nf_conntrack_max", "(92%)", ""})
	s.do("conntrack -F 2>/dev/null")
	s.quiet()
}

// fill makes n entries in the table of this network namespace.
func fill(n int) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	const batch = 200
	for i := 0; i < n; i += batch {
		var all []netlink.Message
		for j := i; j < min(i+batch, n); j++ {
			m, err := entry(uint32(j))
			if err != nil {
				return err
			}
			all = append(all, m)
		}
		all[len(all)-1].Header.Flags |= netlink.Acknowledge // so that one at a time is under way
		if _, err := conn.SendMessages(all); err != nil {
			return err
		}
		if _, err := conn.Receive(); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return nil
}

// entry is a request to make the entry of a UDP flow, for an hour.
func entry(number uint32) (netlink.Message, error) {
	from, to := binary.BigEndian.AppendUint32(nil, 10<<24|1<<20|number), []byte{10, 255, 255, 254}
	tuple := func(src, dst []byte) func(*netlink.AttributeEncoder) error {
		return func(ae *netlink.AttributeEncoder) error {
			ae.Nested(1, func(ae *netlink.AttributeEncoder) error { // CTA_TUPLE_IP
				ae.Bytes(1, src)
				ae.Bytes(2, dst)
				return nil
			})
			ae.Nested(2, func(ae *netlink.AttributeEncoder) error { // CTA_TUPLE_PROTO
				ae.Uint8(1, unix.IPPROTO_UDP)
				ae.Bytes(2, []byte{0, 99})
				ae.Bytes(3, []byte{0, 99})
				return nil
			})
			return nil
		}
	}
	ae := netlink.NewAttributeEncoder()
	ae.Nested(1, tuple(from, to))                          // CTA_TUPLE_ORIG
	ae.Nested(2, tuple(to, from))                          // CTA_TUPLE_REPLY
	ae.Bytes(7, binary.BigEndian.AppendUint32(nil, 60*60)) // CTA_TIMEOUT
	data, err := ae.Encode()
	if err != nil {
		return netlink.Message{}, err
	}
	const newEntry = 1 << 8 // IPCTNL_MSG_CT_NEW
	return netlink.Message{
		Header: netlink.Header{Type: newEntry, Flags: netlink.Request | netlink.Create},
		Data:   append([]byte{unix.AF_INET, unix.NFNETLINK_V0, 0, 0}, data...),
	}, nil
}
