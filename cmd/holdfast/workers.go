package main

import (
	"holdfast/cluster"
	"holdfast/memcache"
	"holdfast/redis"
	"holdfast/server"
)

// dialects are what a connection can speak.
type dialects struct {
	redis    *redis.Dialect
	memcache *memcache.Dialect
}

// worker joins one of the server's workers to the door that is its alone.
type worker struct {
	dialects
	door *cluster.Door
}

// Session gives a connection the dialect of its port.
func (w *worker) Session(port string, c *server.Conn) server.Session {
	if protocolOf(port) == redisPort {
		return w.redis.Session(w.door, c)
	}
	return w.memcache.Session(w.door, c)
}

// Flush carries out what the pass has queued.
func (w *worker) Flush() { w.door.Flush() }
