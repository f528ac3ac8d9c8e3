package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
	sysunit "github.com/switcheroo/switcheroo/internal/unit"
)

// templates tells mistakes in templates of which no instance runs, so that
// they show when the file is written and not in the next deploy.
type templates struct {
	client *sysunit.Client
	log    *slog.Logger
	told   map[string]bool // mistakes, until they are mended
	look   chan struct{}
}

func newTemplates(client *sysunit.Client, log *slog.Logger) *templates {
	return &templates{client: client, log: log, told: map[string]bool{}, look: make(chan struct{}, 1)}
}

// changed says that systemd may have loaded files anew. It does not block.
func (t *templates) changed() {
	select {
	case t.look <- struct{}{}:
	default: // a look is on its way already
	}
}

// run looks whenever there may be something new, until ctx ends.
func (t *templates) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.look:
			t.check(ctx)
		}
	}
}

func (t *templates) check(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	all, err := t.client.Templates(ctx)
	if err != nil {
		if ctx.Err() == nil {
			t.log.Warn("templates not checked", "error", err)
		}
		return
	}
	now := map[string]bool{}
	for _, template := range all {
		files := make([]config.File, len(template.Files))
		for i, f := range template.Files {
			files[i] = config.File{Path: f.Path, Data: f.Data}
		}
		_, err := config.ParseInstance(template.Name, files)
		var mistakes config.Errors
		if !errors.As(err, &mistakes) {
			continue
		}
		for _, m := range mistakes {
			now[m.Error()] = true
			if !t.told[m.Error()] {
				t.log.Error("configuration error", "unit", template.Name, "error", m.Error())
			}
		}
	}
	t.told = now
}
