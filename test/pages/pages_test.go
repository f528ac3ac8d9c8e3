package pages

import "testing"

func TestPages(t *testing.T) {
	for page, s := range map[string]setting{
		"adoption.md":        {},
		"getting-started.md": {},
	} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			follow(t, page, s)
		})
	}
}
