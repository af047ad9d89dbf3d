'use strict'

// Computes the level of each playback over time from the requests: its volume and its track's, fades, crossfades and ducking. The mixer has
// the same rules (src/mixer/voice.rs, ramp.rs, duck.rs); here they only shape a lane.

/** The default length of a change and of a stop. */
const EDGE_MS = 5
/** The defaults of DuckOptions. */
const DUCK = { db: -12, attackMs: 50, releaseMs: 300 }
/** From low to high. */
const ROLES = ['ambient', 'media', 'voice', 'system']
/** The number of straight pieces between two points: the product of several lines is a curve. */
const PIECES = 8

/** A level over time, made of straight lines. */
class Line {
  #points

  constructor(level) {
    this.#points = [[-Infinity, level]]
  }

  at(ms) {
    const next = this.#points.findIndex(([at]) => at > ms)
    if (next === -1) return this.#points.at(-1)[1]
    const [[fromMs, from], [toMs, to]] = [this.#points[next - 1], this.#points[next]]
    return fromMs === -Infinity ? from : from + ((to - from) * (ms - fromMs)) / (toMs - fromMs)
  }

  /** Goes to another level, beginning at a time after all earlier changes. */
  toward(level, atMs, lengthMs) {
    const from = this.at(atMs)
    this.#points = [...this.#points.filter(([at]) => at < atMs), [atMs, from], [atMs + lengthMs, level]]
  }

  get times() {
    return this.#points.slice(1).map(([at]) => at)
  }
}

/** Returns the levels of all roles over time, as lines by role; none without ducking. */
function duckedRoles(lanes, duck) {
  if (!duck) return {}
  const { db, attackMs, releaseMs } = { ...DUCK, ...duck }
  const low = 10 ** (db / 20)
  const levels = Object.fromEntries(ROLES.map((role) => [role, new Line(1)]))
  const targets = {}
  const turns = lanes.flatMap((lane) => soundingParts(lane).map((part) => ({ role: lane.role, ...part })))
  const times = [...new Set(turns.flatMap(({ fromMs, toMs }) => [fromMs, toMs]))].sort((a, b) => a - b)
  for (const now of times) {
    const highest = Math.max(-1, ...turns.filter(({ fromMs, toMs }) => fromMs <= now && now < toMs).map(({ role }) => ROLES.indexOf(role)))
    ROLES.forEach((role, rank) => {
      const to = highest > rank ? low : 1
      if ((targets[role] ?? 1) === to) return
      targets[role] = to
      levels[role].toward(to, now, ((to === 1 ? releaseMs : attackMs) * Math.abs(to - levels[role].at(now))) / (1 - low))
    })
  }
  return levels
}

/** Returns the times in which a playback sounded: between its start and its end, without its pauses. */
function soundingParts({ startedAtMs, endedAtMs, pauses }) {
  if (startedAtMs === undefined) return []
  const parts = []
  let fromMs = startedAtMs
  for (const pause of pauses) {
    if (pause.fromMs > fromMs) parts.push({ fromMs, toMs: pause.fromMs })
    fromMs = pause.toMs ?? endedAtMs
  }
  if (endedAtMs > fromMs) parts.push({ fromMs, toMs: endedAtMs })
  return parts
}

/** A rise at the start, as a function of time. */
function rise({ startedAtMs, fadeInMs }, crossMs) {
  if (crossMs > fadeInMs) return { times: [startedAtMs + crossMs], at: (ms) => Math.sin(share(ms - startedAtMs, crossMs) * (Math.PI / 2)) }
  return { times: [startedAtMs + fadeInMs], at: (ms) => (fadeInMs > 0 ? share(ms - startedAtMs, fadeInMs) : 1) }
}

/** A fall to the end: of a crossfade, a stop, or the playback's own fade-out. */
function fall({ endedAtMs, outcome, fadeOutMs, stop }, crossMs) {
  if (crossMs > 0) return { times: [endedAtMs - crossMs], at: (ms) => Math.sin(share(endedAtMs - ms, crossMs) * (Math.PI / 2)) }
  const lengthMs = stop ? Math.max(0, endedAtMs - stop.fromMs) : outcome === 'completed' ? fadeOutMs : 0
  return { times: [endedAtMs - lengthMs], at: (ms) => (lengthMs > EDGE_MS ? share(endedAtMs - ms, lengthMs) : 1) }
}

function share(part, whole) {
  return Math.min(1, Math.max(0, part / whole))
}

/**
 * Returns how long a playback crossfades with the one before it on its track, which is while both sound: those of one queue, or one that
 * replaces another.
 */
function crossings(lanes, crossfadeMs) {
  const [rises, falls] = [new Map(), new Map()]
  if (!crossfadeMs) return { rises, falls }
  for (const next of lanes) {
    if (next.startedAtMs === undefined) continue
    const before = lanes.find((lane) => lane !== next && lane.trackId === next.trackId && lane.startedAtMs < next.startedAtMs &&
      lane.endedAtMs > next.startedAtMs && lane.endedAtMs <= next.startedAtMs + crossfadeMs + 1 &&
      (lane.reason === 'replaced' || (lane.outcome === 'completed' && next.queuedAtMs !== undefined)))
    if (!before) continue
    rises.set(next, before.endedAtMs - next.startedAtMs)
    falls.set(before, before.endedAtMs - next.startedAtMs)
  }
  return { rises, falls }
}

/**
 * Gives each lane that sounded `levels`: for each part in which it did, points `[ms, level]`. A lane is a playback of Trace; `tracks`
 * are the lines of the tracks' volumes.
 */
function shape(lanes, tracks, { duck, crossfadeMs, gain = 1 }) {
  const roles = duckedRoles(lanes, duck)
  const { rises, falls } = crossings(lanes, crossfadeMs)
  for (const lane of lanes) {
    const factors = [lane.volume, tracks.get(lane.trackId), roles[lane.role]].filter(Boolean)
    const edges = [rise(lane, rises.get(lane) ?? 0), fall(lane, falls.get(lane) ?? 0)]
    const all = [...factors, ...edges]
    lane.levels = soundingParts(lane).map(({ fromMs, toMs }) => {
      const changes = all.flatMap(({ times }) => times).filter((ms) => ms > fromMs && ms < toMs)
      const borders = [...new Set([fromMs, ...changes, toMs])].sort((a, b) => a - b)
      const product = (ms) => all.reduce((level, line) => level * line.at(ms), gain * lane.gain)
      return borders.slice(1).flatMap((to, n) => between(borders[n], to, product)).concat([[toMs, product(toMs)]])
    })
  }
}

/** Returns points of a curve from one time until before another; only the first where it is straight. */
function between(fromMs, toMs, level) {
  const points = Array.from({ length: PIECES }, (_, n) => fromMs + ((toMs - fromMs) * n) / PIECES).map((ms) => [ms, level(ms)])
  const [first, last] = [points[0][1], level(toMs)]
  const isStraight = points.every(([, value], n) => Math.abs(value - first - ((last - first) * n) / PIECES) < 0.01)
  return isStraight ? [points[0]] : points
}

module.exports = { EDGE_MS, Line, shape }
