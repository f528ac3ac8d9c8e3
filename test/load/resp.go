package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/switcheroo/switcheroo/test/server/wire"
)

// command appends a command in RESP, the protocol of Redis.
func command(b []byte, words ...string) []byte {
	b = fmt.Appendf(b, "*%d\r\n", len(words))
	for _, w := range words {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b
}

// reply is one that holds text, or a list of others.
type reply struct {
	kind byte // '+', '-', ':', '$' or '*'
	text []byte
	list []reply
}

// What no reply that a client asks for exceeds.
const (
	maxText  = wire.Chunk
	maxList  = 16
	maxDepth = 2
)

// readReply reads one reply. What is none is an error of type wrong; others are
// those of in.
func readReply(in *bufio.Reader) (reply, error) { return readNested(in, 1) }

func readNested(in *bufio.Reader, depth int) (reply, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return reply{}, wrong(fmt.Sprintf("a reply begins with %.80q", line))
	}
	if err != nil {
		return reply{}, err
	}
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || len(text) == 0 {
		return reply{}, wrong(fmt.Sprintf("%.80q is no reply", line))
	}
	r := reply{kind: text[0], text: bytes.Clone(text[1:])}
	switch r.kind {
	case '+', '-', ':':
		return r, nil
	case '$':
		r.text, err = readBulk(in, r.text)
		return r, err
	case '*':
		n, err := length(r.text, maxList)
		if err != nil || depth > maxDepth {
			return r, wrong(fmt.Sprintf("%.80q begins no reply that was asked for", line))
		}
		r.text = nil
		for range n {
			nested, err := readNested(in, depth+1)
			if err != nil {
				return r, err
			}
			r.list = append(r.list, nested)
		}
		return r, nil
	}
	return r, wrong(fmt.Sprintf("%.80q is no reply", line))
}

func readBulk(in *bufio.Reader, size []byte) ([]byte, error) {
	n, err := length(size, maxText)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n+len("\r\n"))
	if _, err := io.ReadFull(in, b); err != nil {
		return nil, err
	}
	text, ok := bytes.CutSuffix(b, []byte("\r\n"))
	if !ok {
		return nil, wrong(fmt.Sprintf("a text of %d bytes does not end there", n))
	}
	return text, nil
}

func length(digits []byte, limit uint64) (int, error) {
	n, err := strconv.ParseUint(string(digits), 10, 32)
	if err != nil || n > limit {
		return 0, wrong(fmt.Sprintf("%.80q is no length of at most %d", digits, limit))
	}
	return int(n), nil
}

// String returns r for messages.
func (r reply) String() string {
	if r.kind == '*' {
		return fmt.Sprint(r.list)
	}
	return fmt.Sprintf("%c%q", r.kind, r.text)
}
