package companion

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// kinds are the messages that decode reads.
var kinds = []int{unix.NFT_MSG_NEWTABLE, unix.NFT_MSG_NEWOBJ, unix.NFT_MSG_NEWSET, unix.NFT_MSG_NEWSETELEM,
	unix.NFT_MSG_NEWCHAIN, unix.NFT_MSG_NEWRULE, unix.NFT_MSG_NEWGEN}

// FuzzDecode feeds each decoder; the seeds are the messages that make our table.
func FuzzDecode(f *testing.F) {
	b := difference(found{}, schema().with([]uint16{61000, 61001}, []uint16{61000}), owned)
	if b.err != nil {
		f.Fatal(b.err)
	}
	for _, m := range b.messages {
		f.Add(uint16(m.Header.Type), m.Data)
	}
	f.Fuzz(func(t *testing.T, kind uint16, data []byte) {
		m := netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(kind)}, Data: data}
		decodeHeader(m)
		decodeTimeout(m)
		decodeSet(m)
		decodePorts(m)
		decodeChain(m)
		decodeRule(m)
		for _, k := range kinds {
			m.Header.Type = netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | k)
			decodeEvent(m)
		}
	})
}

func FuzzParseAcks(f *testing.F) {
	f.Add([]byte("\x24\x00\x00\x00\x02\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x14\x00\x00\x00\x00\x0a\x05\x00\x07\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if acks := parseAcks(b); len(acks) > len(b)/unix.SizeofNlMsghdr {
			t.Errorf("%d acks from %d bytes", len(acks), len(b))
		}
	})
}

func FuzzProc(f *testing.F) {
	f.Add("0000000000000000 12  4242       00000040 0        0        0     2        0        777", uint32(4242))
	f.Fuzz(func(t *testing.T, text string, port uint32) {
		if inode := socketInode(strings.NewReader(text), port); inode != "" && !strings.Contains(text, inode) {
			t.Errorf("inode %q from %q", inode, text)
		}
	})
}

func TestParseAcks(t *testing.T) {
	const done = "\x14\x00\x00\x00\x02\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	const eperm = "\x24\x00\x00\x00\x02\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"
	for name, test := range map[string]struct {
		bytes string
		want  []ack
	}{
		"nothing":        {"", nil},
		"error":          {eperm + strings.Repeat("\x00", 16), []ack{{7, unix.EPERM}}},
		"length too big": {eperm, nil},
		"length too low": {"\x03" + done[1:], nil},
		"no code":        {"\x10" + done[1:16], nil},
	} {
		if diff := cmp.Diff(test.want, parseAcks([]byte(test.bytes)), cmp.AllowUnexported(ack{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestDecodeComment(t *testing.T) {
	for data, want := range map[string]string{
		"":                          "",
		"\x00\x04abc\x00":           "abc",
		"\x00\x03abc":               "abc",
		"\x07\x01x\x00\x02a\x00":    "a",
		"\x00\x09abc":               "", // cut off
		"\x01\x00\x02\x00\x00\x01z": "z",
	} {
		if got := decodeComment([]byte(data)); got != want {
			t.Errorf("%q: %q, want %q", data, got, want)
		}
	}
}
