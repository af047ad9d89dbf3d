import { Registry } from 'prom-client'

export interface MetricsOptions {
  /** Where the metrics are registered; prom-client's global registry by default. */
  register?: Registry | undefined
  /** Stands before each name; empty by default. */
  prefix?: string | undefined
}

/**
 * Registers what `SpeakerSession.metrics()` counts with prom-client: over all sessions of the process, those of worker threads included, so
 * one registry of a process is enough. It is read at each scrape and costs nothing in between. docs/metrics.md lists the names.
 * @throws {Error} if one of the names is registered already, or the prefix is none; nothing is registered then
 *
 * @example
 * import { register } from 'prom-client'
 * import { collectMetrics } from 'speaker-session/metrics'
 * collectMetrics()
 * http.createServer(async (_, response) => response.end(await register.metrics())).listen(9464)
 */
export function collectMetrics(options?: MetricsOptions): void

/**
 * Registers the histogram `server_playback_device_difference_ms`: how much longer phones played than the server did. Returns what is to hear the
 * event `difference` of each `SpeakerManager` of `speaker-session/mentra`.
 * @throws {Error} if the name is registered already, or the prefix is none
 *
 * @example
 * const observe = collectDifferences() // once a process
 * speaker.on('difference', observe) // of each manager
 */
export function collectDifferences(options?: MetricsOptions): (difference: { differenceMs: number }) => void
