package load

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Event is a line that swload prints: what was seen so far, once a second, and
// the result in the end.
type Event struct {
	Progress *Result `json:"progress,omitempty"`
	Result   *Result `json:"result,omitempty"`
}

// Encode writes e as one line.
func (e Event) Encode(w io.Writer) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// Decode reads what swload prints, up to the result, which it returns.
// Progress (if not nil) gets each of the others.
func Decode(r io.Reader, progress func(*Result)) (*Result, error) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 {
			if err == io.EOF {
				err = errors.New("there is no result")
			}
			return nil, fmt.Errorf("read what swload prints: %w", err)
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("swload prints %.80q: %w", line, err)
		}
		if e.Result != nil {
			return e.Result, nil
		}
		if e.Progress != nil && progress != nil {
			progress(e.Progress)
		}
	}
}
