import { Registry } from 'prom-client'

export interface MetricsOptions {
  /** The registry for the metrics; prom-client's global one by default. */
  register?: Registry | undefined
  /** The prefix of each name; empty by default. */
  prefix?: string | undefined
}

/**
 * Registers the metrics of `SpeakerSession.metrics()` with prom-client: of all sessions of the process, including those of worker threads, so
 * one registry per process is enough. They are read at each scrape and cost nothing in between. docs/metrics.md lists the names.
 * @throws {Error} if one of the names is registered already, or the prefix is invalid; nothing is registered then
 *
 * @example
 * import { register } from 'prom-client'
 * import { collectMetrics } from 'speaker-session/metrics'
 * collectMetrics()
 * http.createServer(async (_, response) => response.end(await register.metrics())).listen(9464)
 */
export function collectMetrics(options?: MetricsOptions): void

/**
 * Registers the histogram `server_playback_device_difference_ms`: how much longer phones played than the server did. Returns the listener for the
 * event `difference` of each `SpeakerManager` of `speaker-session/mentra`.
 * @throws {Error} if the name is registered already, or the prefix is invalid
 *
 * @example
 * const observe = collectDifferences() // once a process
 * speaker.on('difference', observe) // of each manager
 */
export function collectDifferences(options?: MetricsOptions): (difference: { differenceMs: number }) => void
