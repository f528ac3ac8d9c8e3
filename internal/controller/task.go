package controller

import "context"

// task names what is under way: of one kind, for one activation.
type task struct {
	Kind taskKind
	ID   string // InvocationID
}

type taskKind uint8

const (
	prepareTask taskKind = iota
	quiesceTask
	watchTask
	promoteTask
	drainTask
	stopTask
	resetTask
	inspectTask
	unreserveTask // of a unit, whose name is the ID
	releaseTask   // its ID is the service's name
	clearTask
)

// result is what a task found out, to be taken into the world by the
// goroutine that owns it.
type result func(context.Context)

// running is a task under way.
type running struct {
	cancel  context.CancelFunc
	dropped bool   // cancelled: its result is not wanted
	unit    string // of a prepareTask
}

// start runs f as t. Its result is taken in unless t was cancelled.
func (c *Controller) start(ctx context.Context, t task, f func(context.Context) result) {
	taskCtx, cancel := context.WithCancel(ctx)
	r := &running{cancel: cancel}
	c.tasks[t] = r
	c.world.Running[t] = true
	c.wait.Go(func() {
		defer cancel()
		found := f(taskCtx)
		c.post(ctx, func(ctx context.Context) {
			delete(c.tasks, t)
			delete(c.world.Running, t)
			if found != nil && !r.dropped {
				found(ctx)
			}
		})
	})
}

// post has f run by the goroutine that owns the world, unless ctx ends first.
func (c *Controller) post(ctx context.Context, f result) {
	select {
	case c.results <- f:
	case <-ctx.Done():
	}
}

// cancel ends a task that has lost its purpose.
func (c *Controller) cancel(kind taskKind, id string) {
	if r := c.tasks[task{kind, id}]; r != nil {
		r.dropped = true
		r.cancel()
	}
}
