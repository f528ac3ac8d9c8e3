package drain

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
)

// encoded builds the attributes of a dump's message.
func encoded(t testing.TB, build func(*netlink.AttributeEncoder)) []byte {
	t.Helper()
	ae := netlink.NewAttributeEncoder()
	build(ae)
	b, err := ae.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return append(make([]byte, headerLen), b...)
}

func tuple(proto uint8, port []byte) func(*netlink.AttributeEncoder) error {
	return func(ae *netlink.AttributeEncoder) error {
		ae.Bytes(1, []byte{4, 4, 4, 4}) // addresses
		ae.Nested(ctaTupleProto, func(ae *netlink.AttributeEncoder) error {
			ae.Uint8(ctaProtoNum, proto)
			if port != nil {
				ae.Bytes(ctaProtoSrcPort, port)
			}
			return nil
		})
		return nil
	}
}

func tcpState(state uint8) func(*netlink.AttributeEncoder) error {
	return func(ae *netlink.AttributeEncoder) error {
		ae.Nested(ctaProtoInfoTCP, func(ae *netlink.AttributeEncoder) error {
			ae.Uint8(ctaProtoInfoTCPState, state)
			ae.Uint8(2, 7)
			return nil
		})
		return nil
	}
}

func tcpEntry(ae *netlink.AttributeEncoder) {
	ae.Nested(1, tuple(6, []byte{0, 80})) // the original tuple
	ae.Nested(ctaTupleReply, tuple(6, []byte{0xee, 0x48}))
	ae.Uint32(3, 1)
	ae.Nested(ctaProtoInfo, tcpState(ctEstablished))
}

func TestParseEntry(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		want entry
		err  bool
	}{
		"TCP": {encoded(t, tcpEntry), entry{tcp: true, port: 61000, state: ctEstablished}, false},
		"UDP": {encoded(t, func(ae *netlink.AttributeEncoder) {
			ae.Nested(ctaTupleReply, tuple(17, []byte{0, 53}))
		}), entry{}, false},
		"no state": {encoded(t, func(ae *netlink.AttributeEncoder) {
			ae.Nested(ctaTupleReply, tuple(6, []byte{0, 80}))
		}), entry{tcp: true, port: 80}, false},
		"no port": {encoded(t, func(ae *netlink.AttributeEncoder) {
			ae.Nested(ctaTupleReply, tuple(6, nil))
		}), entry{}, true},
		"no attributes": {make([]byte, headerLen), entry{}, false},
		"no header":     {make([]byte, headerLen-1), entry{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseEntry(c.b)
			if (err != nil) != c.err {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(entry{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLeads(t *testing.T) {
	want := map[uint8]bool{ctSynSent: true, ctSynRecv: true, ctEstablished: true, ctClose: true}
	for state := range uint8(255) {
		if got := (entry{tcp: true, state: state}).leads(); got != want[state] {
			t.Errorf("state %d: %v", state, got)
		}
	}
}

func FuzzParseEntry(f *testing.F) {
	f.Add(encoded(f, tcpEntry))
	f.Add([]byte{2, 0, 0, 0, 3, 0, 2, 0})             // an attribute shorter than its header
	f.Add([]byte{2, 0, 0, 0, 0xff, 0xff, 2, 0, 1, 2}) // longer than the message
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseEntry(b)
		if err != nil && e != (entry{}) {
			t.Errorf("%+v beside %v", e, err)
		}
		if !e.tcp && e != (entry{}) {
			t.Errorf("not TCP, but %+v", e)
		}
		if answer := answerOf(b, func(a netip.AddrPort) bool { return a.IsValid() }); answer != nil {
			if from, to := parseTuple(answer); !from.IsValid() || !to.IsValid() {
				t.Errorf("answers from %s to %s", from, to)
			}
		}
	})
}
