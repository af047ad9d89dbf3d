import { Tracer } from '@opentelemetry/api'

import { SpeakerSession } from '../..'

export interface TraceOptions {
  /** Makes the spans; that of the global tracer provider by default. */
  tracer?: Tracer | undefined
}

/**
 * Makes a span for each playback that is asked for from now on, as a child of the span that is active where `playAudio` or `createStream`
 * is called. Returns the session; a second call changes nothing. docs/metrics.md lists what is in a span.
 *
 * @example
 * const session = traceSession(new SpeakerSession({ output }))
 */
export function traceSession<Session extends SpeakerSession>(session: Session, options?: TraceOptions): Session
