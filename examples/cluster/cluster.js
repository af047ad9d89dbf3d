'use strict'

// A cluster on this machine: nodes of LiveKit that share a Redis, behind a load balancer. See docs/operations.md.

const { startServer } = require('../../scripts/livekit-server')
const { startRedis } = require('../../scripts/redis')
const { startBalancer } = require('./balancer')

/**
 * How long a node tries to pass a signalling message on to the node that has the room, before it ends the signalling connection, by which a listener
 * notices that the room's node is dead; 7.5 s by default. Less than 5 s would end it after a restart of Redis too, while no node counts as alive.
 */
const RETRY_TIMEOUT = '5s'

/**
 * Starts a cluster. Resolves with `{ url, key, secret, nodes, redis, nodeOf(room), stop() }`. With `clearsUp` a node that dies is removed from
 * Redis at once, as its supervisor can do (systemd's `ExecStopPost`, a sidecar): LiveKit by itself gives rooms to a dead node for up to 5 s more.
 * `onRoute` is the balancer's.
 */
async function startCluster({ count = 2, clearsUp = true, onRoute } = {}) {
  const started = []
  const stop = async () => {
    for (const part of started.splice(0).reverse()) await part()
  }
  try {
    const redis = await startRedis()
    started.push(redis.stop)
    const nodes = []
    // One after the other, because a node's id is known by what is new in Redis.
    for (let n = 0; n < count; n++) {
      const node = await startNode({ redis, clearsUp, first: nodes[0] })
      started.push(node.stop)
      nodes.push(node)
    }
    const balancer = await startBalancer(nodes, onRoute)
    started.push(balancer.close)
    const { key, secret } = nodes[0]
    /** Resolves with the node that has a room. */
    const nodeOf = async (room) => {
      const [id] = await redis.command('HGET', 'room_node_map', room)
      return nodes.find((node) => node.id === id)
    }
    return { url: balancer.url, key, secret, nodes, redis, nodeOf, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startNode({ redis, clearsUp, first }) {
  const ids = () => redis.command('HKEYS', 'nodes')
  const before = await ids()
  const server = await startServer((config) => {
    if (first) config.keys = first.config.keys // each accepts the tokens of the others
    config.redis = { address: redis.address }
    config.signal_relay = { retry_timeout: RETRY_TIMEOUT }
  })
  const id = (await ids()).find((one) => !before.includes(one))
  let isStopped = false
  server.exited.then(() => {
    if (clearsUp && !isStopped) redis.command('HDEL', 'nodes', id).catch(() => {})
  })
  const stop = () => {
    isStopped = true
    return server.stop()
  }
  return { ...server, id, port: server.config.port, stop }
}

module.exports = { startCluster }
