'use strict'

// The metrics of `SpeakerSession.metrics()` for Prometheus, with the prom-client that the application has installed.

const { Counter, Gauge, Histogram, register: globalRegistry } = require('prom-client')

const { SpeakerSession } = require('../..')

/** The metrics by their names without the prefix, with the field that each is read from. */
const COUNTERS = [
  ['server_playback_requests_total', 'Playbacks that were asked for and taken', ({ requests }) => requests],
  ['server_playback_started_total', 'Playbacks whose first sample was handed to the output', ({ started }) => started],
  ['server_playback_completed_total', 'Playbacks that were played to their end', ({ completed }) => completed],
  ['server_playback_failed_total', 'Playbacks that ended with an error', ({ failed }) => failed],
  ['server_playback_cancelled_total', 'Playbacks that were stopped', ({ stopped }) => stopped],
  ['server_playback_bridge_error_total', 'Outputs and rooms that could not be opened or were lost, and tracks that were refused', ({ outputErrors }) => outputErrors],
  ['server_playback_reconnects_total', 'Connections to rooms that were lost and then restored or given up', ({ reconnects }) => reconnects],
  ['server_playback_underruns_total', 'Gaps in playbacks whose source was late', ({ underruns }) => underruns],
  ['server_playback_late_frames_total', 'Frames of 20 ms that were mixed after the next one was due', ({ lateFrames }) => lateFrames],
  ['server_playback_lost_frames_total', 'Frames of 20 ms that were given up because the process was halted', ({ lostFrames }) => lostFrames],
  ['server_playback_dropped_frames_total', 'Frames of 20 ms that the output did not take', ({ droppedFrames }) => droppedFrames],
  ['server_playback_panics_total', 'Faults of the addon', ({ panics }) => panics],
  ['server_playback_broken_sessions_total', 'Sessions that such a fault ended', ({ broken }) => broken]
]

const GAUGES = [
  ['server_playback_sessions', 'Sessions that are not closed', ({ sessions }) => sessions],
  ['server_playback_active', 'Playbacks that load, play or fade out', ({ active }) => active],
  ['server_playback_queued', 'Playbacks that wait for their turn', ({ queued }) => queued],
  ['server_playback_clips', 'Clips that hold memory', ({ clips }) => clips],
  ['server_playback_clip_bytes', 'Bytes that clips hold', ({ clipBytes }) => clipBytes],
  ['server_playback_cache_entries', 'Bodies that the cache keeps', ({ cache }) => cache.entries],
  ['server_playback_cache_bytes', 'Bytes that the cache takes', ({ cache }) => cache.bytes],
  ['server_playback_load', 'Share of their time that the media threads used in the last second', ({ capacity }) => capacity.load],
  ['server_playback_max_load', 'Load up to which outputs are opened', ({ capacity }) => capacity.maxLoad]
]

const HISTOGRAMS = [
  ['server_playback_duration_ms', 'How long playbacks sounded, in milliseconds', ({ durationMs }) => durationMs],
  ['server_playback_first_frame_latency_ms', 'From a request to its first sample, in milliseconds', ({ firstFrameLatencyMs }) => firstFrameLatencyMs]
]

/** Each with the name of its label, and its counts by the values of that. */
const LABELLED = [
  ['server_playback_failures_by_code_total', 'Playbacks that ended with an error, by the code of that', 'code', ({ failures }) => failures],
  [
    'server_playback_cache_requests_total',
    'Requests for URLs while the cache is on, by where their answer was from',
    'result',
    ({ cache: { hits, joined, revalidated, misses } }) => ({ hit: hits, joined, revalidated, miss: misses })
  ],
  [
    'server_playback_overloads_total',
    'Outputs that were to be opened beyond the largest load, by what became of them',
    'result',
    ({ capacity: { exceeded, refused } }) => ({ opened: exceeded - refused, refused })
  ]
]

/** A histogram of counts by the process; it observes nothing itself. */
class CountedHistogram extends Histogram {
  #read

  constructor(config, read) {
    super({ ...config, buckets: read().buckets.map(({ upto }) => upto) })
    this.#read = read
  }

  async get() {
    const { name, help, type, aggregator } = this
    const { buckets, count, sum } = this.#read()
    const values = [...buckets, { upto: '+Inf', count }].map((bucket) => {
      return { metricName: `${name}_bucket`, labels: { le: bucket.upto }, value: bucket.count }
    })
    values.push({ metricName: `${name}_sum`, labels: {}, value: sum }, { metricName: `${name}_count`, labels: {}, value: count })
    return { name, help, type, values, aggregator }
  }

  getForPromString() {
    return this.get()
  }
}

function collectMetrics({ register = globalRegistry, prefix = '' } = {}) {
  const taken = [...COUNTERS, ...GAUGES, ...HISTOGRAMS, ...LABELLED].map(([name]) => prefix + name).find((name) => register.getSingleMetric(name))
  // Before anything is registered: all of them or none.
  if (taken) throw new Error(`Expected a registry without ${taken}, but it has that already: use another prefix`)
  let counted
  // All metrics of a scrape are read at once.
  const read = () => {
    if (!counted) queueMicrotask(() => (counted = undefined))
    return (counted ??= SpeakerSession.metrics())
  }
  const config = (name, help) => ({ name: prefix + name, help, registers: [register] })
  for (const [name, help, value] of COUNTERS) {
    new Counter({
      ...config(name, help),
      collect() {
        this.reset()
        this.inc(value(read()))
      }
    })
  }
  for (const [name, help, value] of GAUGES) {
    new Gauge({
      ...config(name, help),
      collect() {
        this.set(value(read()))
      }
    })
  }
  for (const [name, help, label, values] of LABELLED) {
    new Counter({
      ...config(name, help),
      labelNames: [label],
      collect() {
        this.reset()
        for (const [value, count] of Object.entries(values(read()))) this.inc({ [label]: value }, count)
      }
    })
  }
  for (const [name, help, value] of HISTOGRAMS) new CountedHistogram(config(name, help), () => value(read()))
}

const DIFFERENCE = ['server_playback_device_difference_ms', 'How much longer a phone played than the server did, in milliseconds']

/** The buckets, among them the difference at which the mentra adapter warns. */
const DIFFERENCES_MS = [-5000, -2000, -1000, -500, -200, -100, -50, 0, 50, 100, 200, 500, 1000, 2000, 5000]

function collectDifferences({ register = globalRegistry, prefix = '' } = {}) {
  const [name, help] = DIFFERENCE
  const histogram = new Histogram({ name: prefix + name, help, buckets: DIFFERENCES_MS, registers: [register] })
  return ({ differenceMs }) => histogram.observe(differenceMs)
}

module.exports = { collectDifferences, collectMetrics }
