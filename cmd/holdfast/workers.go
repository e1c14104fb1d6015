package main

import (
	"sync/atomic"

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

// worker joins one of the server's workers to the doors that are its alone: one for each protocol, since these hold requests for different times.
type worker struct {
	dialects
	redisDoor    *cluster.Door
	memcacheDoor *cluster.Door

	wake  func()        // has Flush called soon
	turns atomic.Uint64 // how often it was
}

// Session gives a connection the dialect of its port.
func (w *worker) Session(port string, c *server.Conn) server.Session {
	switch protocolOf(port) {
	case redisPort:
		return w.redis.Session(w.redisDoor, c)
	case sentinelPort:
		return w.redis.Sentinel(w.redisDoor, c)
	}
	return w.memcache.Session(w.memcacheDoor, c)
}

// Flush carries out what the pass has queued.
func (w *worker) Flush() {
	w.turns.Add(1)
	w.redisDoor.Flush()
	w.memcacheDoor.Flush()
}
