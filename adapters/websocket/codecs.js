'use strict'

// The messages of telephone services.

const { invalidArgument } = require('../check')

/**
 * Azure Communication Services, bidirectional media streaming:
 * https://learn.microsoft.com/azure/communication-services/how-tos/call-automation/audio-streaming-quickstart
 */
function acs({ sampleRate = 16000 } = {}) {
  if (![16000, 24000].includes(sampleRate)) throw invalidArgument('16000 or 24000', 'sampleRate', sampleRate)
  return {
    format: 's16',
    sampleRate,
    audio: (data) => JSON.stringify({ kind: 'AudioData', audioData: { data: data.toString('base64') }, stopAudio: null }),
    clear: () => JSON.stringify({ kind: 'StopAudio', audioData: null, stopAudio: {} })
  }
}

/** Twilio, bidirectional Media Streams: https://www.twilio.com/docs/voice/media-streams/websocket-messages */
function twilio({ streamSid } = {}) {
  if (typeof streamSid !== 'string' || streamSid === '') throw invalidArgument('a non-empty string', 'streamSid', streamSid)
  return {
    format: 'mulaw',
    sampleRate: 8000,
    audio: (data) => JSON.stringify({ event: 'media', streamSid, media: { payload: data.toString('base64') } }),
    clear: () => JSON.stringify({ event: 'clear', streamSid }),
    mark: (name) => JSON.stringify({ event: 'mark', streamSid, mark: { name } }),
    reached: ({ event, mark }) => (event === 'mark' ? mark?.name : undefined)
  }
}

module.exports = { acs, twilio }
