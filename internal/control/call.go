package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

// call is one request.
type call struct {
	*http.Request
	w     http.ResponseWriter
	route *route
	peer  *Peer
	conn  *conn
	self  bool // the instance that it is about has made it
}

// read decodes the body into v, which says of no field that it is unknown.
func (c *call) read(v any) *api.Error {
	control := http.NewResponseController(c.w)
	control.SetReadDeadline(time.Now().Add(bodyTimeout))
	// Without one, or who waits long would be taken to be gone.
	defer control.SetReadDeadline(time.Time{})
	d := json.NewDecoder(http.MaxBytesReader(c.w, c.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		if err == nil {
			err = errors.New("something follows after the value")
		}
	}
	var tooLarge *http.MaxBytesError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &tooLarge):
		return api.Errorf(api.TooLarge, "the body is larger than %d bytes", maxBody)
	case errors.Is(err, io.EOF):
		return api.Errorf(api.BadRequest, "the body is empty").WithHint("docs/api.md shows what belongs there")
	case errors.As(err, &typ):
		return api.Errorf(api.BadRequest, "field %q: a %s is no %s", typ.Field, typ.Value, kindOf(typ.Type.Kind().String()))
	}
	return api.Errorf(api.BadRequest, "the body is not understood: %s", strings.TrimPrefix(printable(err.Error()), "json: "))
}

// kindOf says in JSON's words what a Go kind is.
func kindOf(kind string) string {
	switch {
	case kind == "slice":
		return "list"
	case kind == "struct":
		return "object"
	case strings.HasPrefix(kind, "int") || strings.HasPrefix(kind, "uint"):
		return "number"
	}
	return kind
}

// flag reads a query parameter that is yes or no.
func (c *call) flag(name string) (bool, *api.Error) {
	switch v := c.URL.Query().Get(name); v {
	case "", "no", "false", "0":
		return false, nil
	case "yes", "true", "1":
		return true, nil
	default:
		return false, api.Errorf(api.BadRequest, "%s=%s: not yes or no", name, printable(v))
	}
}

// number reads a query parameter that is a number; absent is 0.
func (c *call) number(name string) (uint64, *api.Error) {
	v := c.URL.Query().Get(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return 0, api.Errorf(api.BadRequest, "%s=%s: not a number", name, printable(v))
	}
	return n, nil
}

// only is an error if there is a query parameter that is not among names.
func (c *call) only(names ...string) *api.Error {
	for name := range c.URL.Query() {
		known := false
		for _, n := range names {
			known = known || n == name
		}
		if !known {
			return api.Errorf(api.BadRequest, "unknown parameter %s", printable(name))
		}
	}
	return nil
}

// deadline bounds a wait; 0 is the default.
func deadline(d api.Duration) time.Duration {
	if d == 0 {
		d = api.DefaultTimeout
	}
	return time.Duration(d)
}

var unitName = regexp.MustCompile(`\A[A-Za-z0-9:_.\\@-]+\z`)

// maxUnitName is systemd's limit.
const maxUnitName = 255

// unit returns the full name of a unit, whose suffix may have been left out.
func unit(field, name string) (string, *api.Error) {
	if name == "" {
		return "", api.Errorf(api.BadRequest, "field %q is missing", field).WithHint(`name a unit: "myapp@v2"`)
	}
	if !strings.HasSuffix(name, ".service") {
		name += ".service"
	}
	stem := strings.TrimSuffix(name, ".service")
	if len(name) > maxUnitName || !unitName.MatchString(name) || stem == "" || strings.HasSuffix(stem, "@") || strings.HasPrefix(stem, "@") {
		return "", api.Errorf(api.BadRequest, "field %q: %q is not the name of a service unit", field, printable(name))
	}
	return name, nil
}

// printable is a part of a request as it may stand in an answer or the log.
func printable(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "..."
	}
	return s
}

// status is the HTTP status of each code.
var status = map[api.Code]int{
	api.BadRequest: http.StatusBadRequest, api.Denied: http.StatusForbidden,
	api.NotFound: http.StatusNotFound, api.NoService: http.StatusNotFound, api.NoInstance: http.StatusNotFound,
	api.BadMethod: http.StatusMethodNotAllowed, api.TooLarge: http.StatusRequestEntityTooLarge,
	api.Conflict: http.StatusConflict, api.NoRollback: http.StatusConflict, api.StartFailed: http.StatusConflict,
	api.Locked: http.StatusConflict, api.ProbeFailed: http.StatusConflict, api.RolledBack: http.StatusConflict, api.Overtaken: http.StatusConflict,
	api.NotPaused: http.StatusConflict,
	api.TooMany:   http.StatusTooManyRequests, api.Internal: http.StatusInternalServerError,
	api.Unavailable: http.StatusServiceUnavailable, api.Timeout: http.StatusGatewayTimeout,
}

func fail(w http.ResponseWriter, err *api.Error) {
	code := status[err.Code]
	if code == 0 {
		code = http.StatusInternalServerError
	}
	write(w, code, api.Failure{Error: err})
}

// write sends a value. It waits for a slow reader, but not for long.
func write(w http.ResponseWriter, code int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		code, body = http.StatusInternalServerError, []byte(`{"error":{"code":"internal","message":"the answer could not be encoded"}}`)
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(body, '\n'))
}

// wrong makes of an error of the controller's or a context's what a client gets.
func (s *Server) wrong(err error, doing string) *api.Error {
	var rules controller.RulesError
	switch {
	case errors.As(err, &rules):
		e := api.Errorf(api.Locked, "the rules cannot be changed: %s", printable(rules.Error()))
		var hinted interface{ Hint() string }
		if errors.As(err, &hinted) {
			e.HintText = hinted.Hint()
		}
		return e
	case errors.Is(err, controller.ErrStarting):
		return api.Errorf(api.Unavailable, "%s", err).WithHint("try again in a moment")
	case errors.Is(err, controller.ErrNoService):
		return api.Errorf(api.NoService, "%s", err)
	case errors.Is(err, controller.ErrNoRollback):
		return api.Errorf(api.NoRollback, "%s", err).WithHint("name the instance to go back to")
	case errors.Is(err, controller.ErrNoSection):
		return api.Errorf(api.NoInstance, "%s: %s", doing, err).WithHint("\"switcheroo check\" says what is wrong with it")
	case errors.Is(err, controller.ErrNoPorts):
		return api.Errorf(api.Conflict, "%s: %s", doing, err).WithHint("widen PrivatePorts= in /etc/switcheroo/switcherood.conf")
	case errors.Is(err, controller.ErrNotReserved):
		return api.Errorf(api.Conflict, "%s: %s", doing, err)
	case errors.Is(err, controller.ErrIsCurrent), errors.Is(err, controller.ErrOnlyOne), errors.Is(err, controller.ErrNeverServed):
		return api.Errorf(api.Conflict, "%s", err)
	case errors.Is(err, controller.ErrNotPaused):
		return api.Errorf(api.NotPaused, "%s", err)
	case errors.Is(err, context.DeadlineExceeded) && s.World.Blocked() != "":
		return locked(doing, s.World.Blocked())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return api.Errorf(api.Unavailable, "%s: switcherood is busy or stopping", doing).WithHint("try again in a moment")
	}
	return api.Errorf(api.Internal, "%s: %s", doing, printable(err.Error()))
}

// locked says that the rules cannot be changed, and why.
func locked(about, why string) *api.Error {
	return api.Errorf(api.Locked, "%s: the rules cannot be changed: %s", about, printable(why)).
		WithHint("the daemon goes on trying")
}

func contextWithTimeout(req *http.Request, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(req.Context(), d)
}
