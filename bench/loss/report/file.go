package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/renameio/v2"
)

// WriteJSON writes v to a file, which is as it was or complete at any time.
func WriteJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	return renameio.WriteFile(name, append(b, '\n'), 0o644)
}

// ReadJSON reads a file into v, and leaves v as it is if there is no file.
func ReadJSON(name string, v any) error {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s is no result of the loss bench: %w", name, err)
	}
	return nil
}
