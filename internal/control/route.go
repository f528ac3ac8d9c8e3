package control

import (
	"net/http"
	"strings"

	"github.com/switcheroo/switcheroo/internal/api"
)

// route is one thing that can be asked for.
type route struct {
	method string
	path   string // a pattern of http.ServeMux
	access access
	long   bool // it may take as long as the caller likes
	answer func(*Server, *call) (any, *api.Error)
}

// routes are all of them. Those of class own check by themselves, with allow,
// once they know which unit is meant.
var routes = []route{
	{http.MethodGet, "/v1/health", everyone, false, (*Server).health},
	{http.MethodGet, "/v1/services", everyone, false, (*Server).services},
	{http.MethodGet, "/v1/services/{name}", everyone, false, (*Server).service},
	{http.MethodGet, "/v1/instances", everyone, false, (*Server).instances},
	{http.MethodGet, "/v1/switches", everyone, false, (*Server).switches},
	{http.MethodGet, "/v1/connections/{name}", everyone, false, (*Server).connections},
	{http.MethodGet, "/v1/doctor", everyone, false, (*Server).doctor},
	{http.MethodGet, "/v1/history", everyone, false, (*Server).history},
	{http.MethodGet, "/v1/events", everyone, true, (*Server).events},
	{http.MethodGet, "/metrics", everyone, false, (*Server).metrics},
	{http.MethodPost, "/v1/check", everyone, false, (*Server).check},
	{http.MethodPost, "/v1/deploy", operators, true, (*Server).deploy},
	{http.MethodPost, "/v1/rollback", operators, true, (*Server).rollback},
	{http.MethodPost, "/v1/pause", operators, false, (*Server).pause},
	{http.MethodPost, "/v1/resume", operators, true, (*Server).resume},
	{http.MethodPost, "/v1/drain", own, true, (*Server).drain},
	{http.MethodPost, "/v1/wait", own, true, (*Server).wait},
	{http.MethodPost, "/v1/reserve", itself, false, (*Server).reserve},
	{http.MethodPost, "/v1/keep", itself, false, (*Server).keep},
}

// verb is the last fixed part of the path: what callers know it by.
func (r *route) verb() string {
	path, _, _ := strings.Cut(r.path, "/{")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// methods are the routes of one path.
type methods map[string]*route

// allowed lists them for the header Allow.
func (m methods) allowed() string {
	var names []string
	for _, r := range routes {
		if m[r.method] != nil && m[r.method].path == r.path {
			names = append(names, r.method)
		}
	}
	return strings.Join(names, ", ")
}

// mux returns the handler of all routes.
func (s *Server) mux() http.Handler {
	mux := http.NewServeMux()
	byPath := map[string]methods{}
	for i, r := range routes {
		if byPath[r.path] == nil {
			m := methods{}
			byPath[r.path] = m
			mux.HandleFunc(r.path, func(w http.ResponseWriter, req *http.Request) { s.dispatch(w, req, m) })
		}
		byPath[r.path][r.method] = &routes[i]
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		fail(w, api.Errorf(api.NotFound, "no route %s", printable(req.URL.Path)).WithHint("docs/api.md lists them"))
	})
	return mux
}

// dispatch hands a request to its route.
func (s *Server) dispatch(w http.ResponseWriter, req *http.Request, m methods) {
	method := req.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	r := m[method]
	if r == nil {
		w.Header().Set("Allow", m.allowed())
		fail(w, api.Errorf(api.BadMethod, "%s is not possible here", printable(req.Method)).WithHint("use %s", m.allowed()))
		return
	}
	c, ok := req.Context().Value(peerKey{}).(*conn)
	if !ok {
		fail(w, api.Errorf(api.Internal, "the caller is not known"))
		return
	}
	g := s.quick
	if r.long {
		g = s.long
	}
	if !g.enter(c.peer.caller) {
		fail(w, api.Errorf(api.TooMany, "too many calls at once").WithHint("wait until others have ended"))
		return
	}
	defer g.leave(c.peer.caller)
	call := &call{Request: req, w: w, route: r, peer: c.peer, conn: c}
	if r.access == operators {
		if err := s.allow(call, ""); err != nil {
			fail(w, err)
			return
		}
	}
	if !r.long {
		ctx, cancel := contextWithTimeout(req, quickTimeout)
		defer cancel()
		call.Request = req.WithContext(ctx)
	}
	value, err := r.answer(s, call)
	switch {
	case err != nil:
		fail(w, err)
	case value != nil:
		write(w, http.StatusOK, value)
	}
}
