package control

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

// paused is a view of myapp with a pause, or without.
func paused(p *controller.Pause) *controller.View {
	v := of(in("v1", controller.RoleCurrent))
	v.Services[0].Pause = p
	return v
}

// busy is an error that knows what to do about it.
type busy struct{}

func (busy) Error() string { return "the lock is held" }
func (busy) Hint() string  { return "wait for pid 7" }

func TestPause(t *testing.T) {
	if time.Duration(api.MaxPause) != controller.MaxPause {
		t.Errorf("the longest pause is %v there, and %v here", api.MaxPause, controller.MaxPause)
	}
	b := serve(t)
	var asked time.Duration
	b.pause = func(service string, most time.Duration) error {
		if service != "myapp" {
			t.Errorf("pause of %q", service)
		}
		asked = most
		b.shows(paused(&controller.Pause{Until: time.Hour + most}))
		return nil
	}
	out, err := b.client.Pause(t.Context(), api.PauseRequest{Service: "myapp"})
	if err != nil || asked != 30*time.Second || out.Extended || out.Pause.Waiting != 7 || time.Until(out.Pause.Until).Round(time.Second) != asked {
		t.Errorf("%+v, %v, for %v", out, err, asked)
	}
	out, err = b.client.Pause(t.Context(), api.PauseRequest{Service: "myapp", Max: api.MaxPause})
	if err != nil || asked != controller.MaxPause || !out.Extended {
		t.Errorf("%+v, %v, for %v", out, err, asked)
	}
	svc, err := b.client.Service(t.Context(), "myapp", api.Select{})
	if err != nil || svc.Pause == nil || svc.Pause.Waiting != 7 || svc.Pause.Ending {
		t.Errorf("%+v, %v", svc, err)
	}
	asked = 0
	for _, c := range []struct {
		what api.PauseRequest
		want api.Code
	}{
		{api.PauseRequest{}, api.BadRequest},
		{api.PauseRequest{Service: "web"}, api.NoService},
		{api.PauseRequest{Service: "myapp", Max: api.MaxPause + api.Duration(time.Second)}, api.BadRequest},
		{api.PauseRequest{Service: "myapp", Max: api.Infinity}, api.BadRequest},
	} {
		if _, err := b.client.Pause(t.Context(), c.what); code(err) != c.want || asked != 0 {
			t.Errorf("%+v: %v, asked for %v", c.what, err, asked)
		}
	}
	b.pause = nil
	if _, err := b.client.Pause(t.Context(), api.PauseRequest{Service: "myapp"}); code(err) != api.Conflict {
		t.Error(err)
	}
	b.pause = func(string, time.Duration) error { return controller.RulesError{Err: fmt.Errorf("lock: %w", busy{})} }
	_, err = b.client.Pause(t.Context(), api.PauseRequest{Service: "myapp"})
	if code(err) != api.Locked || err.Error() != "the rules cannot be changed: lock: the lock is held" || err.(*api.Error).Hint() != "wait for pid 7" {
		t.Errorf("%v", err)
	}
}

// Resume returns when all that waited have gone on, and says how they did.
func TestResume(t *testing.T) {
	b := serve(t)
	if _, err := b.client.Resume(t.Context(), api.Resume{Service: "myapp"}); code(err) != api.NotPaused || !strings.HasPrefix(err.Error(), "myapp is") {
		t.Error(err)
	}
	if _, err := b.client.Resume(t.Context(), api.Resume{Service: "web"}); code(err) != api.NoService {
		t.Error(err)
	}
	b.shows(paused(&controller.Pause{Until: 2 * time.Hour}))
	b.feed.Add(controller.News{Kind: controller.Resumed, Service: "myapp", Waited: controller.LetGo{Connections: 1}}) // long ago
	told := make(chan bool)
	b.resume = func(string) error {
		b.shows(paused(&controller.Pause{Until: 2 * time.Hour, Ending: true}))
		close(told)
		return nil
	}
	ended := make(chan *api.Resumed)
	go func() {
		out, err := b.client.Resume(t.Context(), api.Resume{Service: "myapp"})
		if err != nil {
			t.Error(err)
		}
		ended <- out
	}()
	<-told
	select {
	case out := <-ended:
		t.Fatalf("it did not wait: %+v", out)
	case <-time.After(50 * time.Millisecond):
	}
	b.feed.Add(controller.News{Kind: controller.Resumed, Service: "web", Waited: controller.LetGo{Connections: 2}})
	b.feed.Add(controller.News{Kind: controller.Resumed, Service: "myapp", Waited: controller.LetGo{Connections: 356, Longest: 5 * time.Second, Left: 3}})
	b.shows(paused(nil))
	if out := <-ended; out.Waited != 356 || out.Longest != api.Duration(5*time.Second) || out.Left != 3 || out.Service != "myapp" {
		t.Errorf("%+v", out)
	}
}

func TestPauseMetrics(t *testing.T) {
	b := serve(t)
	for _, paused := range []*controller.View{paused(nil), paused(&controller.Pause{Until: 2 * time.Hour})} {
		b.shows(paused)
		_, body := b.get("/metrics")
		n := 0
		if paused.Services[0].Pause != nil {
			n = 1
		}
		for _, want := range []string{
			fmt.Sprintf(`switcheroo_service_paused{service="myapp"} %d`, n),
			`switcheroo_held_connections{service="myapp"} 7`, `switcheroo_held_connections_total{service="myapp"} 9`,
		} {
			if !strings.Contains(body, want+"\n") {
				t.Errorf("no %s in\n%s", want, body)
			}
		}
	}
}
