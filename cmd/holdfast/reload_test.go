package main

import (
	"log/slog"
	"testing"

	"holdfast/config"
	"holdfast/memcache"
	"holdfast/redis"
)

// A daemon without users and certificates has nothing to read again, and goes on.
func TestReloadOfNothing(t *testing.T) {
	c := config.Default()
	d := &process{config: &c, log: slog.New(slog.DiscardHandler), dialects: dialects{redis: redis.New(redis.Config{}), memcache: memcache.New(memcache.Config{})}}
	defer d.dialects.redis.Close()
	d.reload()
}
