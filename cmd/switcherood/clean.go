package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/switcheroo/switcheroo/internal/controller"
)

// clean removes every trace of our rules, and what was saved about them.
// Connections that are open end with their translation.
func clean(ctx context.Context, o options, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var level slog.LevelVar
	level.Set(slog.LevelWarn)
	log := newLog(o.stderr, &level, nil)
	settings, err := readSettings(o, log)
	if err != nil {
		return err
	}
	alone, err := onlyDaemon(ctx, o)
	if err != nil {
		return err
	}
	defer alone.Release()
	rules, err := openRules(ctx, settings.Backend, o.rulesLock(), log)
	if err != nil {
		// No iptables here, perhaps: the table needs none.
		return errors.Join(err, removeTable(ctx, o.rulesLock(), log))
	}
	defer rules.close()
	unlock, err := rules.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := rules.remove(ctx); err != nil {
		return err
	}
	store := controller.FileStore{Runtime: o.runtime, Persistent: o.persistent}
	if err := store.Remove(); err != nil {
		return fmt.Errorf("rules removed, but not what was saved about them: %w", err)
	}
	fmt.Fprintln(stdout, "All rules of switcheroo are removed. Units that run are left as they are.")
	return nil
}
