package admin

import "net/http"

// ServeHTTP answers a request as if it had come in, so that tests can say from where.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.http.Handler.ServeHTTP(w, r) }
