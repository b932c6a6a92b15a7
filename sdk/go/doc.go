// Package gochat is the Go client of a GoChat server.
//
// A [Client] makes the calls of the HTTP API and keeps its tokens fresh. A
// [Session], opened with [Client.Connect], is the live side: a WebSocket that
// reconnects by itself, resends what was not acknowledged, and hands the
// application every entry of every conversation exactly once and in order,
// however often the connection breaks. Given several servers of a deployment by
// [WithServers], both go on to the next one when theirs fails.
//
// Errors of the server are *[Error]; compare them with [errors.As] or
// [IsCode].
package gochat
