package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/control"
	"github.com/switcheroo/switcheroo/internal/controller"
	"github.com/switcheroo/switcheroo/internal/drain"
	"github.com/switcheroo/switcheroo/internal/lock"
	sysunit "github.com/switcheroo/switcheroo/internal/unit"
)

// options are what the command line says.
type options struct {
	paths
	config   string // of the daemon's settings
	logLevel string // before LogLevel=, "" if not given
	metrics  string // before MetricsListen=, "" if not given
	stderr   io.Writer
}

// serve runs the daemon until ctx ends.
func serve(ctx context.Context, o options) error {
	var level slog.LevelVar
	log := newLog(o.stderr, &level, openJournal())
	settings, err := readSettings(o, log)
	if err != nil {
		return err
	}
	level.Set(settings.LogLevel)

	alone, err := onlyDaemon(ctx, o)
	if err != nil {
		return err
	}
	defer alone.Release()

	passed, err := inherit()
	if err != nil {
		return err
	}
	socket, err := passed.socket(o.control())
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	defer socket.Close()
	credentials, err := passed.socket(o.credentials())
	if err != nil {
		return fmt.Errorf("credential socket: %w", err)
	}
	defer credentials.Close()
	keeper := newKeeper(passed.kept, log)
	defer keeper.close()
	rules, err := openRules(ctx, settings.Backend, o.rulesLock(), log)
	if err != nil {
		return err
	}
	defer rules.close()

	client := sysunit.New(sysunit.Options{Log: log})
	defer client.Close()
	templates := newTemplates(client, log)
	note := newNotifier(log)
	monitor := drain.New(drain.Options{Log: log, Timeouts: rules.timed})
	metrics := control.NewMetrics(version, rules.name())
	ctl := controller.New(controller.Options{
		Units:   units{client},
		Router:  rules,
		Gate:    rules.gate,
		Sockets: sockets{monitor},
		Prober:  prober{metrics},
		Store:   controller.FileStore{Runtime: o.runtime, Persistent: o.persistent},
		Keeper:  keeper,
		Log:     log,
		Now:     monotonic,
		Tell:    metrics.Tell,
		Busy:    busy,

		PrivatePorts: settings.PrivatePorts,
		Ready:        func() { note.ready(); log.Info("ready", "version", version, "backend", rules.name()) },
	})

	server := control.New(control.Options{
		World:   ctl,
		Feed:    ctl.Feed,
		Units:   controlUnits{client, ctl},
		Sockets: controlSockets{},
		Gate:    rules.gate,
		Doctor:  &surgery{world: ctl, client: client, rules: rules},
		Journal: newPast(),
		Metrics: metrics,
		Log:     log,
		Version: version,
		Backend: rules.name(),
	})

	g, ctx := errgroup.WithContext(ctx)
	fromSystemd := make(chan sysunit.Event)
	toController := make(chan controller.Event, 64)
	g.Go(func() error { return client.Run(ctx, fromSystemd) })
	g.Go(func() error { return translate(ctx, fromSystemd, toController, templates.changed, metrics.Reconnected) })
	g.Go(func() error { return templates.run(ctx) })
	g.Go(func() error { return ctl.Run(ctx, toController) })
	g.Go(func() error { return rules.watch(ctx, ctl.RulesChanged, ctl.RulesCommitted) })
	g.Go(func() error { return rules.gate.holder.Run(ctx, ctl.RulesChanged) })
	g.Go(func() error { return note.watchdog(ctx, ctl.Ping) })
	g.Go(func() error { return server.Run(ctx, socket) })
	g.Go(func() error { return server.RunCredentials(ctx, credentials) })
	if settings.MetricsListen != "" {
		g.Go(func() error { return serveMetrics(ctx, server, settings.MetricsListen, log) })
	}
	g.Go(func() error {
		return onHangup(ctx, func() {
			note.reloading()
			if next, err := readSettings(o, log); err != nil {
				log.Error("settings not read again", "error", err)
			} else {
				level.Set(next.LogLevel)
				if err := ctl.SetPrivatePorts(ctx, next.PrivatePorts); err != nil {
					log.Warn("PrivatePorts= not taken over", "error", err)
				}
				if next.Backend != settings.Backend {
					log.Warn("another Backend= is used after a restart of switcherood", "now", settings.Backend, "then", next.Backend)
				}
				if next.MetricsListen != settings.MetricsListen {
					log.Warn("another MetricsListen= is used after a restart of switcherood", "now", settings.MetricsListen, "then", next.MetricsListen)
				}
			}
			client.Resync()
			note.ready()
		})
	})
	err = g.Wait()
	note.stopping()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// serveMetrics answers /metrics on a TCP address. Without it the daemon works as
// well, so what is wrong with it is only told.
func serveMetrics(ctx context.Context, server *control.Server, addr string, log *slog.Logger) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		log.Error("metrics not served by the network", "error", err)
		return nil
	}
	return server.ServeMetrics(ctx, l)
}

// readSettings reads the daemon's settings. Errors in them are logged, and the
// defaults hold in their place: a typing mistake must not keep the daemon down.
func readSettings(o options, log *slog.Logger) (config.Daemon, error) {
	files, err := config.DaemonFiles(o.config)
	if err != nil {
		log.Error("configuration error", "error", err)
	}
	settings, err := config.ParseDaemon(files)
	var all config.Errors
	if errors.As(err, &all) {
		for _, e := range all {
			log.Error("configuration error", "error", e.Error())
		}
	} else if err != nil {
		return config.Daemon{}, err
	}
	if o.metrics != "" {
		if settings.MetricsListen, err = config.ParseMetricsListen(o.metrics); err != nil {
			return config.Daemon{}, usageError{fmt.Errorf("--metrics-listen: %w", err)}
		}
	}
	if o.logLevel != "" {
		if settings.LogLevel, err = config.ParseLogLevel(o.logLevel); err != nil {
			return config.Daemon{}, usageError{fmt.Errorf("--log-level: %w", err)}
		}
	}
	return settings, nil
}

// onlyDaemon makes sure that no second daemon runs.
func onlyDaemon(ctx context.Context, o options) (*lock.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	l, err := lock.Acquire(ctx, o.daemonLock())
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, hinted{running(err), `stop it first with "systemctl stop switcherood"`}
	}
	return l, err
}

// running says which daemon has the lock.
func running(err error) error {
	var held *lock.HeldError
	if errors.As(err, &held) && held.PID != 0 {
		return fmt.Errorf("switcherood is running as process %d", held.PID)
	}
	return errors.New("switcherood is running")
}

// onHangup calls reload at every SIGHUP until ctx ends.
func onHangup(ctx context.Context, reload func()) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, unix.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
			reload()
		}
	}
}

// monotonic is CLOCK_MONOTONIC, as in systemd's timestamps. Go's own monotonic
// clock has another zero.
func monotonic() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // the clock exists on every kernel
	}
	return time.Duration(t.Nano())
}
