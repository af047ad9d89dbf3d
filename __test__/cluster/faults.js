'use strict'

// What happens to the cluster, and which sessions notice it how. Each fault: `what`; `cluster`, options of startCluster; `groups(scene)`, the
// speakers by what the fault is to them, each with `who`, `returns` if they reconnect, `isCutOff` if nothing arrives meanwhile, `goalMs`, the
// time that is strived for, and `limitMs`, the one that is wrong even on a busy machine; `harm(scene)`, `after(scene)` when all are back, and
// `behind(scene)` when all have left. The last two return what is wrong, if anything.

const { setTimeout: sleep } = require('node:timers/promises')

const { RoomServiceClient } = require('livekit-server-sdk')

/** The node that is harmed. */
const VICTIM = 1
/** How long Redis is away. */
const AWAY_MS = 1500
/** A node that drains looks every 5 s whether somebody is there, and waits for one who left without a goodbye. */
const DRAINED_MS = 90_000
const NEW_ROOMS = 6
/** For what is not to be heard at all: a busy machine by itself makes silences of several hundred milliseconds. */
const UNHEARD = { goalMs: 0, limitMs: 2000 }
const BACK = { goalMs: 5000, limitMs: 15_000 }
/** LiveKit takes a node that died for alive for 5 s, and tries 3 s at a time to reach it. */
const BACK_BY_ITSELF = { goalMs: 9000, limitMs: 25_000 }
const MOVED = { goalMs: 200, limitMs: 15_000 }

/** The speakers, by whether the victim has their room, their signalling, both or neither. */
const byNode = (roomLimits) => ({ speakers, cluster: { nodes } }) => {
  const node = nodes[VICTIM]
  const those = (hasRoom, hasSignalling) => speakers.filter((one) => (one.node === node) === hasRoom && (one.signalling === node) === hasSignalling)
  return [
    { who: 'room and signalling', speakers: those(true, true), returns: true, isCutOff: true, ...roomLimits },
    { who: 'only the room', speakers: those(true, false), returns: true, isCutOff: true, ...roomLimits },
    { who: 'only the signalling', speakers: those(false, true), returns: true, ...UNHEARD },
    { who: 'neither', speakers: those(false, false), ...UNHEARD }
  ]
}

const all = ({ speakers }) => [{ who: 'all', speakers, ...UNHEARD }]

const faults = [
  {
    what: 'a node is killed',
    groups: byNode(BACK),
    harm: ({ cluster }) => cluster.nodes[VICTIM].signal('SIGKILL')
  },
  {
    what: 'a node is killed, and nobody tells Redis',
    cluster: { clearsUp: false },
    groups: byNode(BACK_BY_ITSELF),
    harm: ({ cluster }) => cluster.nodes[VICTIM].signal('SIGKILL')
  },
  {
    // LiveKit: it takes no new rooms, keeps its own, and ends when the last participant has left.
    what: 'a node drains (SIGTERM)',
    groups: all,
    harm: ({ cluster }) => cluster.nodes[VICTIM].signal('SIGTERM'),
    async after({ cluster }) {
      const service = new RoomServiceClient(cluster.url.replace('ws', 'http'), cluster.key, cluster.secret)
      for (let n = 0; n < NEW_ROOMS; n++) {
        const { name } = await service.createRoom({ name: `new-room-${n}` })
        if ((await cluster.nodeOf(name)) === cluster.nodes[VICTIM]) return 'it took a new room'
      }
    },
    async behind({ cluster }) {
      const { exited } = cluster.nodes[VICTIM]
      const { code } = await Promise.race([exited, sleep(DRAINED_MS, {}, { ref: false })])
      if (code !== 0) return `it did not end by itself (${code})`
    }
  },
  {
    // LiveKit: the second signal disconnects everybody at once, with the reason that it is shut down.
    what: 'a node is shut down (SIGTERM twice)',
    groups: byNode(MOVED),
    harm({ cluster }) {
      cluster.nodes[VICTIM].signal('SIGTERM')
      cluster.nodes[VICTIM].signal('SIGINT')
    }
  },
  {
    what: 'Redis is restarted',
    groups: all,
    harm: ({ cluster }) => cluster.redis.restart(AWAY_MS)
  }
]

module.exports = { faults }
