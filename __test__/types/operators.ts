// The API for operators. Compiled, never run.

import { trace } from '@opentelemetry/api'
import { Registry } from 'prom-client'

import { SpeakerSession, type LogLine, type Logger, type ProcessMetrics } from 'speaker-session'
import { collectDifferences, collectMetrics } from 'speaker-session/metrics'
import { traceSession } from 'speaker-session/opentelemetry'

const metrics: ProcessMetrics = SpeakerSession.metrics()
metrics.failures.ERR_HTTP_STATUS satisfies number | undefined
metrics.durationMs.buckets.map(({ upto, count }) => upto + count satisfies number)
metrics.clipBytes satisfies number
metrics.cache.hits satisfies number
// @ts-expect-error
metrics.failures.ERR_NOTHING

const listener = ({ level, message, target, session, requestId, time }: LogLine): void => console.log(level, message, target, session, requestId, time)
SpeakerSession.on('log', listener).off('log', listener)
// @ts-expect-error
SpeakerSession.off('logs', listener)
const logger: Logger = console
const session = new SpeakerSession({ output: { type: 'memory' }, logger })
session.id satisfies number
session.on('overloaded', ({ lateFrames, lostFrames, lateMs, atMs }) => [lateFrames, lostFrames, lateMs, atMs] satisfies number[])
session.on('started', ({ latencyMs, firstByteMs }) => [latencyMs satisfies number, firstByteMs satisfies number | undefined])
// @ts-expect-error
new SpeakerSession({ output: { type: 'memory' }, logger: { debug() {} } })

collectMetrics()
collectDifferences({ prefix: 'mine_' })({ differenceMs: -20 })
collectMetrics({ register: new Registry(), prefix: 'mine_' })
traceSession(session, { tracer: trace.getTracer('mine') }).id satisfies number
traceSession(session)
